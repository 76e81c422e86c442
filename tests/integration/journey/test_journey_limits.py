"""Rate limits hold over all of a node's traffic, as its network interface counts it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.images import Image, files_image, push
from tests.support.netns import Network, network
from tests.support.node import Node, eagle_node
from tests.support.origin import NAME
from tests.support.pulls import REPOSITORY, pull_blob
from tests.support.registry import docker_registry

pytestmark = pytest.mark.alone
MIB = 1 << 20
LIMIT = 4_000_000
"""Bytes/s."""
SECONDS = 10.0
LEAST, MOST = 0.85, 1.05
"""Of the limit, on average. libtorrent counts the headers of packets of 1500 bytes to its limit; on
these links, which carry packets of 64 KiB, the same payload has hardly any."""
_UNMEASURED = ("--measure-links", "false")
"""What new nodes measure their links with is limited like the rest, but sent before the look."""
SIZE = 60_000_000
"""Of each of two blobs: more than the limit lets through in time, also if one has it alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """Hosts on links without limits, a registry with an image of two layers on one of them."""

    net: Network
    stack: AsyncExitStack
    directory: Path
    image: Image
    origin: tuple[str, str]

    async def node(self, name: str, *flags: str) -> Node:
        """A node on the host of this name."""
        host = self.net[name]
        return await self.stack.enter_async_context(
            eagle_node(
                self.directory / name,
                *(*self.origin, *_UNMEASURED, *flags),
                host=host.address,
                namespace=host.namespace,
            )
        )


@asynccontextmanager
async def rig(directory: Path, *names: str) -> AsyncIterator[Rig]:
    """Network, registry and image."""
    image = files_image(directory / "image", [SIZE, SIZE], compression=0)
    async with AsyncExitStack() as stack:
        net = await stack.enter_async_context(network(["registry", *names]))
        place = net["registry"]
        registry = await stack.enter_async_context(
            docker_registry(directory / "registry", host=place.address, namespace=place.namespace)
        )
        await push(image, registry, REPOSITORY)
        yield Rig(
            net=net,
            stack=stack,
            directory=directory,
            image=image,
            origin=("--registry", f"{NAME}={registry.url}"),
        )


async def _carried(net: Network, name: str, *work: Coroutine[Any, Any, Any]) -> tuple[float, float]:
    """Bytes/s that a host's link sent and received while ``work`` ran, for `SECONDS`."""
    loop = asyncio.get_running_loop()
    tasks = [asyncio.ensure_future(each) for each in work]
    await asyncio.sleep(1.0)
    before, started = (await net.traffic())[name], loop.time()
    await asyncio.sleep(SECONDS)
    after, elapsed = (await net.traffic())[name], loop.time() - started
    assert not any(task.done() for task in tasks), "the pulls ended too early to measure"
    for task in tasks:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks)
    return (after.sent - before.sent) / elapsed, (after.received - before.received) / elapsed


async def test_the_download_limit_covers_swarm_and_origin(tmp_path: Path) -> None:
    """Together they make the limit: one blob comes from a peer; the other, for which the cache has
    no room, from the registry.
    """
    async with rig(tmp_path, "holder", "node") as here:
        from_peer, from_origin = (layer.digest for layer in here.image.layers)
        holder = await here.node("holder")
        await pull_blob(holder, from_peer)
        node = await here.node(
            "node",
            *("--seeder", holder.metainfo, "--tracker", holder.tracker_url),
            *("--role", "proxy,peer", "--download-limit", f"{LIMIT}"),
            *("--cache-size", f"{SIZE * 3 // 2}"),
        )
        _, received = await _carried(
            here.net, "node", pull_blob(node, from_peer), pull_blob(node, from_origin)
        )
    assert LEAST <= received / LIMIT <= MOST


async def test_the_upload_limit_covers_all_children(tmp_path: Path) -> None:
    """Two children pull different blobs from the only holder: together they get the limit."""
    async with rig(tmp_path, "holder", "one", "two") as here:
        digests = [layer.digest for layer in here.image.layers]
        holder = await here.node("holder", "--upload-limit", f"{LIMIT}")
        for digest in digests:
            await pull_blob(holder, digest)
        children = [await here.node(name, *holder.pins) for name in ("one", "two")]
        sent, _ = await _carried(
            here.net,
            "holder",
            *(pull_blob(child, digest) for child, digest in zip(children, digests, strict=True)),
        )
    assert LEAST <= sent / LIMIT <= MOST
