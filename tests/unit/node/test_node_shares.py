"""Who gives and takes how much of a blob."""

from __future__ import annotations

from eagle_node.base.digest import Digest
from eagle_node.node.shares import KEPT_S, Shares

BLOB = Digest("sha256:" + "a" * 64)


def test_who_pauses_for_a_moment_stays() -> None:
    """A source that is between two segments is a source, at a rate that falls."""
    shares = Shares()
    assert shares.even(BLOB, {"10.0.0.1": 1000}, 0.0) == [("10.0.0.1", 1000)]
    ((host, rate),) = shares.even(BLOB, {}, 1.0)
    assert host == "10.0.0.1"
    assert 500 < rate < 1000


def test_who_gives_nothing_any_more_goes() -> None:
    """After some seconds without a byte it is no source."""
    shares = Shares()
    shares.even(BLOB, {"10.0.0.1": 1000, "10.0.0.2": 10}, 0.0)
    shares.even(BLOB, {"10.0.0.2": 10}, KEPT_S)
    assert shares.even(BLOB, {"10.0.0.2": 10}, KEPT_S + 1) == [("10.0.0.2", 10)]
    assert shares.even(BLOB, {}, 3 * KEPT_S) == []


def test_rates_follow_what_moves_whoever_looks() -> None:
    """Two looks in the same moment do not count twice, and the fastest is first."""
    shares = Shares()
    shares.even(BLOB, {"10.0.0.1": 1000, "10.0.0.2": 10}, 0.0)
    once = shares.even(BLOB, {"10.0.0.1": 0, "10.0.0.2": 4000}, 2.0)
    assert once == shares.even(BLOB, {"10.0.0.1": 0, "10.0.0.2": 4000}, 2.0)
    assert [host for host, _ in once] == ["10.0.0.2", "10.0.0.1"]


def test_a_blob_that_nobody_looks_at_is_forgotten() -> None:
    """A rate of long ago is not evened out with that of a new transfer."""
    shares = Shares()
    shares.even(BLOB, {"10.0.0.1": 1000}, 0.0)
    shares.forget_old(KEPT_S + 1)
    assert shares.even(BLOB, {"10.0.0.1": 8}, KEPT_S + 1) == [("10.0.0.1", 8)]
