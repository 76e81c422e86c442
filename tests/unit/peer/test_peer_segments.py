"""Whom the segments of a download are told to dial."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from eagle_node.base.ids import NodeId
from eagle_node.peer.parents import Parents
from eagle_node.peer.segments import PATIENCE_S, SUSPICIOUS_S, SegmentFetches
from eagle_node.tracker.schema import PeerAddress, Plan

OLD, NEW = (
    PeerAddress(node_id=NodeId(digit * 32), host=f"10.0.0.{digit}", port=7000) for digit in "12"
)


class Scene:
    """Segments 0 and 1, active, as they were started by a plan that names `OLD`."""

    def __init__(self) -> None:
        self.now = 0.0
        self.parents = Parents()
        self.announced: list[int] = []
        """By libtorrent, when it was told to."""
        self.offers: dict[Any, Any] = {}
        torrents = {index: SimpleNamespace(info_hash=index) for index in (0, 1)}
        swarm = SimpleNamespace(
            prepare=lambda *_, **__: None,
            start=lambda *_: None,
            announce=self.announced.append,
        )
        announces = SimpleNamespace(url="", offer=self.offers.__setitem__)
        means = SimpleNamespace(
            clock=lambda: self.now, swarm=swarm, announces=announces, trackers=list
        )
        arrival = SimpleNamespace(writing=set(), directory=SimpleNamespace(path=None))
        transfer = SimpleNamespace(arrival=arrival, fetching={}, reserve=lambda *_: None)
        job = SimpleNamespace(means=means, parents=self.parents, torrents=torrents, blob=None)
        job.blob = SimpleNamespace(digest="sha256:0")
        self.fetches = SegmentFetches(job, transfer, lambda _: None)  # type: ignore[arg-type]

    async def start(self, *parents: PeerAddress) -> None:
        """Both segments, and what libtorrent asks for then."""
        for index in (0, 1):
            self.fetches.prepare(index)
            self.fetches.start(index)
            assert await self.offers[index]() == [*parents]

    def plan(self, *parents: PeerAddress) -> None:
        """The tracker names a parent."""
        self.parents.take(Plan(stripes=(parents,), interval_s=1.0), NodeId("f" * 32))


@pytest.fixture
async def scene() -> Scene:
    made = Scene()
    made.plan(OLD)
    await made.start(OLD)
    return made


async def test_what_stands_still_turns_to_the_plan(scene: Scene) -> None:
    """Who fed it may be behind this node by now; what moves is left where it is."""
    scene.plan(NEW)
    scene.now = SUSPICIOUS_S
    scene.fetches.progressed(1, 16384)  # type: ignore[arg-type]
    scene.fetches.turn_to_plan()
    assert scene.announced == [0]
    assert await scene.offers[0]() == [NEW]
    scene.now = 1.9 * SUSPICIOUS_S
    scene.fetches.turn_to_plan()
    assert scene.announced == [0]
    scene.now = 2 * SUSPICIOUS_S
    scene.fetches.turn_to_plan()
    assert scene.announced == [0, 1]


async def test_what_stands_still_with_its_planned_parent_is_left(scene: Scene) -> None:
    """It has nothing to give yet: asking again would not help."""
    scene.now = 10 * SUSPICIOUS_S
    scene.fetches.turn_to_plan()
    assert scene.announced == []


async def test_what_moves_has_some_time_to_end_as_it_has_begun(scene: Scene) -> None:
    """Its feeder may be slow: the plan may have changed for that."""
    scene.plan(NEW)
    for moment in (0.0, 0.5, 1.0, 1.5, 2.0):
        scene.now = moment
        scene.fetches.progressed(1, 1 + int(moment * 16384))  # type: ignore[arg-type]
        scene.fetches.turn_to_plan()
        assert (1 in scene.announced) is (moment >= PATIENCE_S)
    assert await scene.offers[1]() == [NEW]
    scene.now = 10.0
    scene.fetches.progressed(1, 1 << 20)  # type: ignore[arg-type]
    scene.fetches.turn_to_plan()
    assert scene.announced.count(1) == 1


async def test_a_plan_that_changes_back_turns_nothing(scene: Scene) -> None:
    """Patience begins anew with each change."""
    for moment, parent in ((0.0, NEW), (1.5, OLD), (1.6, NEW), (3.0, NEW)):
        scene.now = moment
        scene.plan(parent)
        for index in (0, 1):
            scene.fetches.progressed(index, 1 + int(moment * 16384))  # type: ignore[arg-type]
        scene.fetches.turn_to_plan()
    assert scene.announced == []


async def test_what_was_started_while_nobody_was_planned_turns_to_the_plan() -> None:
    """Nobody was dialled then, and what comes later would hide that it stands still."""
    scene = Scene()
    scene.plan(OLD)
    scene.plan()
    await scene.start()
    scene.fetches.turn_to_plan()
    scene.plan(NEW)
    scene.now = SUSPICIOUS_S
    scene.fetches.turn_to_plan()
    assert scene.announced == [0, 1]
    assert await scene.offers[0]() == [NEW]
