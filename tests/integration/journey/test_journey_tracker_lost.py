"""Pulls without a tracker, or with one that ends or freezes under way."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from tests.support.node import eagle_node
from tests.support.origin import Behaviour, scripted_origin
from tests.support.pulls import pull_blob, traffic
from tests.support.registry import free_port
from tests.support.waiting import until

MIB = 1 << 20
SIZE = 6 * MIB


async def test_a_pull_needs_no_tracker(tmp_path: Path) -> None:
    """With no tracker from the start, the seeder is the parent; the origin sends one copy."""
    nowhere = ("--tracker", f"http://127.0.0.1:{free_port()}")
    async with scripted_origin() as origin:
        digest = origin.add_random(SIZE)
        seeder = ("--role", "seeder", *nowhere)
        async with eagle_node(tmp_path / "a", *origin.flags, *seeder) as first:
            pins = ("--role", "proxy,peer", "--seeder", first.metainfo, *nowhere)
            async with eagle_node(tmp_path / "b", *origin.flags, *pins) as child:
                pulled = await pull_blob(child, digest)
                assert (await traffic(child))["origin_bytes"] == 0
        assert len(origin.gets(digest)) == 1
        assert pulled.seconds < 30


@pytest.mark.parametrize("frozen", [False, True], ids=["killed", "frozen"])
async def test_a_pull_outlives_its_tracker(tmp_path: Path, frozen: bool) -> None:
    """A tracker that goes away in the middle of a pull, or freezes, does not disturb it."""
    async with scripted_origin() as origin:
        digest = origin.add_random(SIZE)
        second = origin.add_random(SIZE, seed=2)
        origin.script(digest, Behaviour(rate=4 * MIB))
        async with eagle_node(tmp_path / "tracker", *origin.flags) as tracker:
            at = ("--tracker", tracker.tracker_url)
            async with (
                eagle_node(tmp_path / "a", *origin.flags, "--role", "seeder", *at) as seeder,
                eagle_node(
                    tmp_path / "b",
                    *(*origin.flags, "--role", "proxy,peer"),
                    *("--seeder", seeder.metainfo, *at),
                ) as child,
            ):
                pull = asyncio.create_task(pull_blob(child, digest))

                async def has_some() -> bool:
                    return bool((await traffic(child))["peer_download_bytes"] >= MIB)

                await until(has_some, what="the child to be in the middle")
                tracker.process.signal(signal.SIGSTOP if frozen else signal.SIGKILL)
                async with asyncio.timeout(60):
                    await pull
                    await pull_blob(child, second)
                tracker.process.signal(signal.SIGKILL)
                assert (await traffic(child))["origin_bytes"] == 0
        assert len(origin.gets(digest)) == len(origin.gets(second)) == 1
