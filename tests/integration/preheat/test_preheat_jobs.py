"""Images at nodes before anybody pulls them: real nodes, a real registry, the real command."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from eagle_node.api.codec import from_json
from eagle_node.api.schema import PreheatJob
from tests.support import http
from tests.support.images import many_layers_image, push
from tests.support.node import Node, eagle_node
from tests.support.origin import NAME
from tests.support.process import run
from tests.support.pulls import REPOSITORY, pull_image, traffic
from tests.support.registry import Registry, docker_registry
from tests.support.waiting import until

MIB = 1 << 20
SOON = ("--tracker-interval", "8")
"""Nodes look for errands every four seconds."""
IMAGE = f"{NAME}/{REPOSITORY}:latest"


@asynccontextmanager
async def fleet(
    tmp_path: Path, registry: Registry, *, others: int = 2
) -> AsyncIterator[list[Node]]:
    """A node with every role in zone a, and others that use it, in zone b."""
    flags = ("--registry", f"{NAME}={registry.url}", *SOON)
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(eagle_node(tmp_path / "n0", *flags, "--zone", "a"))
        started = (
            stack.enter_async_context(
                eagle_node(tmp_path / f"n{number}", *flags, *first.pins, "--zone", "b")
            )
            for number in range(1, others + 1)
        )
        yield [first, *await asyncio.gather(*started)]


async def preheat(node: Node, *arguments: str) -> PreheatJob:
    """The command's JSON."""
    done = await run(command(node, *arguments, "--json"), timeout=90)
    return from_json(PreheatJob, json.loads(done.stdout))


def command(node: Node, *arguments: str) -> list[str]:
    """``eagle-node preheat`` against this node."""
    return [sys.executable, "-m", "eagle_node", "preheat", *arguments, "--api", node.api_url]


async def known(node: Node, count: int) -> None:
    """Wait until the tracker knows ``count`` nodes."""

    async def fact() -> bool:
        document = await http.get_json(f"{node.tracker_url}/v1/nodes")
        return len(document["nodes"]) == count

    await until(fact, what=f"{count} nodes at the tracker", timeout=60)


async def test_a_wave_after_a_preheat_asks_the_registry_for_no_blob(tmp_path: Path) -> None:
    """Every node has verified every blob when the command ends; then pulls move nothing."""
    image = many_layers_image(tmp_path / "image", count=6, size=6 * MIB)
    async with (
        docker_registry(tmp_path / "registry") as registry,
        fleet(tmp_path, registry) as nodes,
    ):
        await push(image, registry, REPOSITORY)
        await known(nodes[0], 3)
        job = await preheat(nodes[1], IMAGE)
        assert (job.state, job.digest, job.error) == ("succeeded", image.digest, "")
        assert (job.blobs, job.size_bytes) == (len(image.blobs), image.size)
        assert {target.state for target in job.targets} == {"succeeded"}
        assert {target.have_bytes for target in job.targets} == {image.size}
        assert len(job.targets) == 3
        assert await registry.blob_requests() == {blob.digest: 1 for blob in image.blobs}
        before = await registry.blob_requests()
        for node in nodes:
            await pull_image(node, image)
            assert (await traffic(node))["served_from"]["local"] >= image.size
        assert await registry.blob_bytes() == {blob.digest: blob.size for blob in image.blobs}
        assert await registry.blob_requests() == before
