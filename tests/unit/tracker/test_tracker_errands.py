"""Errands at a tracker."""

from __future__ import annotations

import pytest

from eagle_node.base.digest import Digest
from eagle_node.base.ids import NodeId
from eagle_node.tracker.errand_schema import (
    Errand,
    ErrandBlob,
    Report,
    parse_errand,
    parse_errands,
    parse_pick_up,
    parse_progress,
    render_errand,
    render_errands,
    render_pick_up,
    render_progress,
)
from eagle_node.tracker.errands import KEEP_S, MOST_ERRANDS, ErrandBoard
from eagle_node.tracker.fields import Malformed

A, B, C = (NodeId(f"{number:032x}") for number in range(3))
BLOB = ErrandBlob(digest=Digest("sha256:" + "0" * 64), size=5)


def errand(name: str = "x", *targets: NodeId) -> Errand:
    """One blob for these nodes."""
    return Errand(
        id=name,
        registry="r.example",
        repository="team/app",
        blobs=(BLOB,),
        targets=targets or (A, B),
        authorization="Bearer " + "ü" * 300,
    )


def report(name: str = "x", *, ended: bool = True, error: str = "") -> Report:
    """Of one node."""
    return Report(errand=name, blobs=int(ended), have_bytes=5, ended=ended, error=error)


def test_an_errand_waits_until_each_target_has_ended_it() -> None:
    """Reports that are not final leave it waiting; a failure ends it as well."""
    board = ErrandBoard()
    assert board.leave(errand(), 0.0) == {}
    assert [board.waits_for(node) for node in (A, B, C)] == [True, True, False]
    assert [each.id for each in board.pick_up(A, [], 1.0)] == ["x"]
    board.pick_up(A, [report(ended=False)], 2.0)
    assert board.waits_for(A)
    board.pick_up(A, [report()], 3.0)
    board.pick_up(B, [report(error="no room")], 3.0)
    assert [board.waits_for(node) for node in (A, B)] == [False, False]
    assert board.leave(errand(), 4.0) == {A: report(), B: report(error="no room")}
    board.check()


def test_a_node_learns_of_itself_only() -> None:
    """A list of thousands of targets is not sent to each of them."""
    board = ErrandBoard()
    board.leave(errand(), 0.0)
    assert board.pick_up(B, [], 0.0)[0].targets == (B,)


def test_strangers_report_nothing() -> None:
    """A node that is no target does not count, nor does a report of what nobody has left."""
    board = ErrandBoard()
    board.leave(errand(), 0.0)
    assert board.pick_up(C, [report(), report("y")], 0.0) == []
    assert board.leave(errand(), 0.0) == {}
    board.check()


def test_what_is_not_renewed_is_forgotten() -> None:
    """Its owner has gone; what is withdrawn goes at once."""
    board = ErrandBoard()
    board.leave(errand("x"), 0.0)
    board.leave(errand("y"), 10.0)
    assert [each.id for each in board.pick_up(A, [], KEEP_S + 1)] == ["y"]
    board.withdraw("y")
    board.withdraw("y")
    assert not board.waits_for(A)


def test_there_is_room_for_so_many() -> None:
    """A further one is refused, one that is here already is renewed."""
    board = ErrandBoard()
    for number in range(MOST_ERRANDS):
        assert board.leave(errand(str(number)), 0.0) is not None
    assert board.leave(errand("further"), 0.0) is None
    assert board.leave(errand("0"), 1.0) is not None


def test_messages_survive_the_wire() -> None:
    """With long credentials in any alphabet; they are never shown."""
    assert parse_errand(render_errand(errand())) == errand()
    assert parse_errands(render_errands([errand(), errand("y")])) == [errand(), errand("y")]
    assert parse_progress(render_progress({A: report()})) == {A: report()}
    assert parse_pick_up(render_pick_up(A, [report()])) == (A, [report()])
    assert "Bearer" not in repr(errand())


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"blobs": [{"digest": "x"}]}', b'{"targets": ["x"]}', b'{"id": 1}']
)
def test_a_malformed_errand_is_refused(body: bytes) -> None:
    """With the field that is wrong."""
    with pytest.raises(Malformed):
        parse_errand(body)
