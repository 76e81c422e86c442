"""Whose bytes are whose."""

from __future__ import annotations

import pytest

from eagle_node.membership.seal import Foreign, Reason, Seal
from eagle_node.trust.key import ClusterKey

ONE, TWO = bytes(32), bytes(range(32))
OLD = ClusterKey(primary=ONE)
NEW = ClusterKey(primary=TWO)
USE = b"use"


def reason(receiver: Seal, data: bytes, use: bytes = USE) -> Reason:
    """Why ``data`` is not for the receiver."""
    with pytest.raises(Foreign) as raised:
        receiver.open(data, use)
    return raised.value.reason


@pytest.mark.parametrize(
    ("sender", "expected"),
    [
        (Seal("other", OLD), Reason.CLUSTER),
        (Seal("other", None), Reason.CLUSTER),
        (Seal("one", NEW), Reason.KEY),
        (Seal("one", None), Reason.CLEAR),
    ],
)
def test_strangers_are_told_apart(sender: Seal, expected: Reason) -> None:
    """Another cluster, another key and no key are different faults of an operator."""
    assert reason(Seal("one", OLD), sender.seal(b"hello", USE)) is expected


def test_a_keyless_node_opens_nothing_that_is_sealed() -> None:
    """It lacks the key."""
    assert reason(Seal("one", None), Seal("one", OLD).seal(b"hello", USE)) is Reason.SEALED


def test_a_seal_is_for_one_use() -> None:
    """A datagram cannot be passed off as a push-pull."""
    assert reason(Seal("one", OLD), Seal("one", OLD).seal(b"hello", b"x")) is Reason.FORGED


def test_other_versions_and_garbage() -> None:
    """They are not taken for damage."""
    sealed = Seal("one", OLD).seal(b"hello", USE)
    assert reason(Seal("one", OLD), b"\x02" + sealed[1:]) is Reason.VERSION
    assert reason(Seal("one", OLD), b"d1:ad2:id20:") is Reason.GARBAGE
    assert reason(Seal("one", OLD), b"") is Reason.GARBAGE
    assert reason(Seal("one", OLD), sealed[:20]) is Reason.GARBAGE


def test_no_two_datagrams_share_a_nonce() -> None:
    """The same content looks different each time, from each process."""
    one, two = Seal("one", OLD), Seal("one", OLD)
    sealed = [seal.seal(b"hello", USE) for seal in (one, one, two, two)]
    assert len({data[10:34] for data in sealed}) == 4
    assert len({data[34:] for data in sealed}) == 4


def test_a_key_is_changed_without_an_outage() -> None:
    """At each step of a rotation, nodes before and after it understand each other."""
    steps = [
        OLD,
        ClusterKey(primary=ONE, others=(TWO,)),
        ClusterKey(primary=TWO, others=(ONE,)),
        NEW,
    ]
    before, after = Seal("one", OLD), Seal("one", OLD)
    for step in steps[1:]:
        after.use(step)
        assert before.open(after.seal(b"hello", USE), USE) == b"hello"
        assert after.open(before.seal(b"hello", USE), USE) == b"hello"
        before.use(step)
    assert reason(after, Seal("one", OLD).seal(b"hello", USE)) is Reason.KEY
