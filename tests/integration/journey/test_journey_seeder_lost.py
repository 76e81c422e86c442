"""Seeders that end or freeze in the middle of a pull."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from eagle_node.base.digest import Digest
from eagle_node.base.rendezvous import ranked
from tests.support.http import Download
from tests.support.node import Node, eagle_node
from tests.support.origin import Behaviour, Origin, scripted_origin
from tests.support.pulls import pull_blob, traffic
from tests.support.waiting import until

MIB = 1 << 20
SIZE = 12 * MIB
STALL_S = 2.0
"""Of the children; the default would only make the tests slower."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A child in the middle of a pull through the first of two seeders."""

    origin: Origin
    digest: Digest
    owner: Node
    """The seeder that owns the digest."""
    stand_in: Node
    child: Node
    pull: asyncio.Task[Download]


@asynccontextmanager
async def mid_pull(directory: Path) -> AsyncIterator[Scene]:
    """Two seeders, one of them with the tracker on a node apart; the origin is slow."""
    async with scripted_origin() as origin, AsyncExitStack() as stack:
        digest = origin.add_random(SIZE)
        origin.script(digest, Behaviour(rate=4 * MIB))
        tracker = await stack.enter_async_context(eagle_node(directory / "tracker", *origin.flags))
        roles = ("--role", "seeder", "--tracker", tracker.tracker_url)
        seeders = await asyncio.gather(
            *(
                stack.enter_async_context(eagle_node(directory / name, *origin.flags, *roles))
                for name in ("s1", "s2")
            )
        )
        pins = [flag for seeder in seeders for flag in ("--seeder", seeder.metainfo)]
        child = await stack.enter_async_context(
            eagle_node(
                directory / "child",
                *(*origin.flags, *pins, "--role", "proxy,peer"),
                *("--tracker", tracker.tracker_url, "--swarm-stall", str(STALL_S)),
            )
        )
        owner, stand_in = _by_rank(digest, seeders)
        pull = asyncio.create_task(pull_blob(child, digest))

        async def has_some() -> bool:
            return bool((await traffic(child))["peer_download_bytes"] >= 3 * MIB)

        await until(has_some, what="the child to be in the middle")
        yield Scene(
            origin=origin, digest=digest, owner=owner, stand_in=stand_in, child=child, pull=pull
        )


def _by_rank(digest: Digest, seeders: Sequence[Node]) -> list[Node]:
    by_address = {seeder.metainfo: seeder for seeder in seeders}
    return [by_address[address] for address in ranked(digest, by_address)]


@pytest.mark.parametrize("frozen", [False, True], ids=["killed", "frozen"])
async def test_the_next_seeder_takes_over(tmp_path: Path, frozen: bool) -> None:
    """The pull ends with the right bytes within seconds, from the digest's next seeder."""
    async with mid_pull(tmp_path) as scene, asyncio.timeout(60):
        scene.owner.process.signal(signal.SIGSTOP if frozen else signal.SIGKILL)
        await scene.pull
        assert (await traffic(scene.child))["origin_bytes"] == 0
        assert len(scene.origin.gets(scene.digest)) == 2
        scene.owner.process.signal(signal.SIGKILL)


@pytest.mark.parametrize(
    "frozen",
    [
        pytest.param(False, id="killed"),
        pytest.param(True, id="frozen", marks=pytest.mark.slow),
    ],
)
async def test_without_seeders_the_origin_takes_over(tmp_path: Path, frozen: bool) -> None:
    """With every seeder gone the child fetches what is missing itself, and only that."""
    async with mid_pull(tmp_path) as scene, asyncio.timeout(60):
        number = signal.SIGSTOP if frozen else signal.SIGKILL
        scene.owner.process.signal(number)
        scene.stand_in.process.signal(number)
        await scene.pull
        account = await traffic(scene.child)
        assert 0 < account["origin_bytes"] <= SIZE - 2 * MIB
        for seeder in (scene.owner, scene.stand_in):
            seeder.process.signal(signal.SIGKILL)
