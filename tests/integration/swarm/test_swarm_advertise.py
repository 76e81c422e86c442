"""What trackers are told of a node, by its advertiser over real HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path

from eagle_node.base.digest import digest_of
from eagle_node.peer.advertise import Advertiser
from eagle_node.tracker.client import TrackerClient
from eagle_node.tracker.schema import PlanRequest
from tests.integration.swarm.rig import rig, torrents_of
from tests.integration.tracker.support import tracker
from tests.unit.blobs.builders import content
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
