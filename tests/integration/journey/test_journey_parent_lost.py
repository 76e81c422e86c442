"""A node in the middle of a chain that ends or freezes, on shaped links."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.support.images import files_image, push
from tests.support.netns import network
from tests.support.node import Node, eagle_node
from tests.support.origin import NAME
from tests.support.pulls import REPOSITORY, pull_blob, traffic
from tests.support.registry import docker_registry
from tests.support.waiting import until

MIB = 1 << 20
SIZE = 12 * MIB
RATE = 20_000_000
"""Bits/s of each host's link: the blob takes about 5 s."""


@pytest.mark.parametrize("frozen", [False, True], ids=["killed", "frozen"])
async def test_a_child_replaces_its_parent(tmp_path: Path, frozen: bool) -> None:
    """The child of a lost node has the blob seconds later, without asking the registry."""
    image = files_image(tmp_path / "image", [SIZE])
    digest = image.layers[0].digest
    async with AsyncExitStack() as stack:
        net = await stack.enter_async_context(network(["registry", "a", "b", "c"], rate=RATE))
        place = net["registry"]
        registry = await stack.enter_async_context(
            docker_registry(tmp_path / "registry", host=place.address, namespace=place.namespace)
        )
        await push(image, registry, REPOSITORY)

        async def start(name: str, *flags: str) -> Node:
            host = net[name]
            return await stack.enter_async_context(
                eagle_node(
                    tmp_path / name,
                    *("--registry", f"{NAME}={registry.url}", *flags),
                    host=host.address,
                    namespace=host.namespace,
                )
            )

        seeder = await start("a")
        nodes = [await start(name, *seeder.pins) for name in ("b", "c")]
        pulls = [asyncio.create_task(pull_blob(node, digest)) for node in nodes]
        parent, child = await _in_the_middle(nodes)
        parent.process.signal(signal.SIGSTOP if frozen else signal.SIGKILL)
        async with asyncio.timeout(60):
            await pulls[nodes.index(child)]
        pulls[nodes.index(parent)].cancel()
        await asyncio.gather(*pulls, return_exceptions=True)
        assert (await traffic(child))["origin_bytes"] == 0
        assert await registry.blob_requests() == {digest: 1}
        parent.process.signal(signal.SIGKILL)


async def _in_the_middle(nodes: list[Node]) -> tuple[Node, Node]:
    """The node that feeds the other, and the other, once they have a third of the blob."""
    fed: list[Node] = []

    async def one_feeds() -> bool:
        accounts = [await traffic(node) for node in nodes]
        fed[:] = [
            node
            for node, account in zip(nodes, accounts, strict=True)
            if account["peer_upload_bytes"] >= SIZE // 3
        ]
        return bool(fed)

    await until(one_feeds, what="one node to feed the other", timeout=30, interval=0.1)
    return fed[0], next(node for node in nodes if node is not fed[0])
