"""Nodes with elected roles, each in a network namespace, before a real registry in one more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support import http
from tests.support.images import Image, push, random_image
from tests.support.netns import Host, Network, network
from tests.support.node import Node, eagle_node
from tests.support.origin import NAME
from tests.support.process import run
from tests.support.pulls import REPOSITORY, pull_blob
from tests.support.registry import Registry, docker_registry
from tests.support.waiting import until

MIB = 1 << 20
RATE = 40_000_000
"""Bits/s of each node's link: a blob of `BLOB` takes some seconds."""
BLOB = 8 * MIB
TRACKERS, SEEDERS = 3, 2


class Fleet:
    """Nodes by name, and what they say of their cluster."""

    def __init__(self, net: Network, registry: Registry, image: Image, nodes: dict[str, Node]):
        self.net = net
        self.registry = registry
        self.blobs = [layer.digest for layer in image.layers]
        """Digests of blobs that nobody has pulled."""
        self.nodes = nodes
        self.prepared_s = 0.0
        """Seconds that all but the nodes took to start."""

    def host(self, node: Node) -> Host:
        """Where a node runs."""
        return next(host for host in self.net.hosts if host.namespace == node.namespace)

    async def statuses(self, nodes: Sequence[Node] | None = None) -> list[dict[str, Any]]:
        """What nodes say, in their order."""
        asked = list(self.nodes.values()) if nodes is None else nodes
        return await asyncio.gather(*(node.status() for node in asked))

    async def agreed(self, nodes: Sequence[Node] | None = None) -> list[dict[str, Any]]:
        """Wait until ``nodes`` (all) see exactly each other, one leader and every role held."""
        asked = list(self.nodes.values()) if nodes is None else nodes
        found: list[dict[str, Any]] = []

        async def is_settled() -> bool:
            nonlocal found
            found = await self.statuses(asked)
            return is_whole(found)

        try:
            await until(is_settled, what="the nodes to agree", timeout=60)
        except Exception:
            print("\n".join(f"--- {node.host}\n{node.process.log_tail(30)}" for node in asked))
            print(*(status["cluster"] for status in found), sep="\n")
            raise
        return found

    async def leader(self) -> Node:
        """The node that leads."""
        (status, *_) = await self.agreed()
        return await self.named(lambda each: each["node"]["id"] == status["cluster"]["leader"])

    async def holder(self, role: str, *, but: Sequence[Node] = ()) -> Node:
        """A node with an elected role; rather one that does not lead."""
        (status, *_) = await self.agreed()
        led = status["cluster"]["leader"]
        return await self.named(
            lambda each: role in each["node"]["roles"] and each["node"]["id"] != led, but=but
        )

    async def named(
        self, fact: Callable[[dict[str, Any]], bool], *, but: Sequence[Node] = ()
    ) -> Node:
        """Wait for a node but ``but`` of whose status ``fact`` holds; the first one."""
        nodes = [node for node in self.nodes.values() if node not in but]
        found: list[Node] = []

        async def is_there() -> bool:
            statuses = await self.statuses(nodes)
            found[:] = [n for n, status in zip(nodes, statuses, strict=True) if fact(status)]
            return bool(found)

        await until(is_there, what="a node that is wanted", timeout=60)
        return found[0]

    async def pull(self, nodes: Sequence[Node], digest: str) -> None:
        """All of ``nodes`` pull a blob at once; wrong or short bytes fail."""
        await asyncio.gather(*(pull_blob(node, digest) for node in nodes))


def is_whole(statuses: Sequence[dict[str, Any]]) -> bool:
    """Whether nodes see each other and no others, one leader among them, and enough holders."""
    ids = {status["node"]["id"] for status in statuses}
    seen = [
        {each["id"] for each in status["cluster"]["members"] if each["state"] == "alive"}
        for status in statuses
    ]
    leaders = {status["cluster"]["leader"] for status in statuses}
    held = [role for status in statuses for role in status["node"]["roles"]]
    return (
        all(each == ids for each in seen)
        and len(leaders) == 1
        and leaders <= ids
        and held.count("tracker") == min(TRACKERS, len(ids))
        and held.count("seeder") == min(SEEDERS, len(ids))
    )


@asynccontextmanager
async def fleet(
    directory: Path,
    count: int,
    *flags: str,
    blobs: int = 3,
    more: Sequence[str] = (),
    own_flags: Callable[[Host, Network], Sequence[str]] = lambda host, net: (),
) -> AsyncIterator[Fleet]:
    """``count`` nodes that have started at once with ``--role auto``; each is ready.

    ``more`` are hosts without a node.
    """
    names = [f"n{number}" for number in range(1, count + 1)]
    begun = time.monotonic()
    image = random_image(directory / "image", [BLOB] * blobs)
    async with network([*names, "origin", *more]) as net, AsyncExitStack() as stack:
        origin = net["origin"]
        registry = await stack.enter_async_context(
            docker_registry(directory / "registry", host=origin.address, namespace=origin.namespace)
        )
        await push(image, registry, REPOSITORY)

        async def start(name: str) -> Node:
            host = net[name]
            node = eagle_node(
                directory / name,
                *("--role", "auto", "--registry", f"{NAME}={registry.url}"),
                *flags,
                *own_flags(host, net),
                host=host.address,
                namespace=host.namespace,
            )
            return await stack.enter_async_context(node)

        prepared_s = time.monotonic() - begun
        nodes = dict(zip(names, await asyncio.gather(*map(start, names)), strict=True))
        for name in names:
            await net.shape(name, RATE)
        made = Fleet(net, registry, image, nodes)
        made.prepared_s = prepared_s
        yield made


async def set_to(node: Node, key: str, value: str) -> tuple[int, dict[str, Any]]:
    """Change a setting through a node's control API; status and document of the answer."""
    async with (
        http.client(namespace=node.namespace) as session,
        session.post(f"{node.api_url}/v1/settings", json={"key": key, "value": value}) as answer,
    ):
        return answer.status, await answer.json(content_type=None)


async def cut(host: Host) -> None:
    """Drop all that comes to and leaves a host's link."""
    await _filter(host, "-I")


async def mend(host: Host) -> None:
    """Undo `cut`."""
    await _filter(host, "-D")


async def _filter(host: Host, action: str) -> None:
    for chain, side in (("INPUT", "-i"), ("OUTPUT", "-o")):
        rule = [chain, side, "eth0", "-j", "DROP"]
        await run(["ip", "netns", "exec", host.namespace, "iptables", "-w", action, *rule])
