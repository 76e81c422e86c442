"""What trackers are told of a node, by its advertiser over real HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from eagle_node.base.digest import digest_of
from eagle_node.peer import advertise
from eagle_node.peer.advertise import Advertiser
from eagle_node.swarm.transfer import Transfer
from eagle_node.tracker.bitmap import unpack
from eagle_node.tracker.client import TrackerClient
from eagle_node.tracker.schema import Advert, PlanRequest
from tests.integration.swarm.rig import rig, torrents_of
from tests.integration.tracker.support import tracker
from tests.unit.blobs.builders import content, write_segment
from tests.unit.tracker.builders import node, node_id

DATA = content(1_000_000)


async def planned(client: TrackerClient, number: int) -> list[str]:
    """Whom a node that wants `DATA` is sent to."""
    asked = PlanRequest(node=node(number), digest=digest_of(DATA), size=len(DATA))
    plan = await client.plan(asked)
    return [peer.node_id for peers in plan.stripes for peer in peers]


async def test_a_node_that_stops_is_in_no_plan_any_more(tmp_path: Path) -> None:
    """It says so itself; one that is killed would be forgotten after two intervals."""
    async with (
        rig(tmp_path) as holder,
        tracker() as server,
        TrackerClient(lambda: [server.url]) as client,
    ):
        await torrents_of(holder, DATA)
        advertiser = Advertiser(lambda: node(1), client, holder.transfers, 30.0)
        running = asyncio.create_task(advertiser.run(), name="advertiser")
        await advertiser.report_soon()
        assert node_id(1) in await planned(client, 2)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert node_id(1) not in await planned(client, 3)


async def test_stopping_does_not_wait_for_trackers_that_are_gone(tmp_path: Path) -> None:
    """Nobody is there to be told."""
    async with (
        rig(tmp_path) as holder,
        TrackerClient(lambda: ["http://127.0.0.1:9"]) as client,
    ):
        advertiser = Advertiser(lambda: node(1), client, holder.transfers, 30.0)
        running = asyncio.create_task(advertiser.run(), name="advertiser")
        await advertiser.report_soon()
        running.cancel()
        async with asyncio.timeout(30):
            await asyncio.gather(running, return_exceptions=True)


class Listener(TrackerClient):
    """Hears how many segments a node says that it has of its only blob; None: all."""

    def __init__(self) -> None:
        super().__init__(list)
        self.heard: asyncio.Queue[int | None] = asyncio.Queue()

    async def advertise(self, advert: Advert) -> bool:
        """Take it in."""
        for held in advert.held:
            self.heard.put_nowait(None if held.have is None else len(unpack(held.have)))
        return False


async def test_more_segments_are_told_now_and_then_and_all_of_them_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a wave, what all nodes tell meets on one tracker's link."""
    monkeypatch.setattr(advertise, "_BATCH_S", 0.01)
    monkeypatch.setattr(advertise, "_PROGRESS_S", 1e6)
    may_write = asyncio.Semaphore(0)
    written: asyncio.Queue[int] = asyncio.Queue()

    async def source(transfer: Transfer) -> None:
        arrival = await transfer.begin(len(DATA))
        for index in arrival.missing():
            await may_write.acquire()
            transfer.reserve(index)
            write_segment(arrival, DATA, index)
            await transfer.segment_written(index)
            written.put_nowait(index)

    async with rig(tmp_path) as here, asyncio.timeout(60):
        listener = Listener()
        advertiser = Advertiser(lambda: node(1), listener, here.transfers, 1e6)
        running = asyncio.create_task(advertiser.run(), name="advertiser")
        transfer = await here.transfers.start(digest_of(DATA), source, whole=True)
        assert transfer is not None
        assert await listener.heard.get() == 0
        for _ in range(2):
            may_write.release()
            await written.get()
            await asyncio.wait([running], timeout=0.1)  # for several reports
        assert listener.heard.empty()
        await advertiser.report_soon()
        assert await listener.heard.get() == 2
        may_write.release()
        may_write.release()
        assert await listener.heard.get() is None
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
