"""Images at nodes before anybody pulls them: real nodes, a real registry, the real command."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from eagle_node.api.client import ApiClient, Refused
from eagle_node.api.codec import from_json
from eagle_node.api.schema import PreheatJob
from tests.support import http
from tests.support.images import many_layers_image, push
from tests.support.node import Node, eagle_node
from tests.support.origin import NAME
from tests.support.process import CommandFailed, Process, run, running
from tests.support.pulls import REPOSITORY, pull_image, traffic
from tests.support.registry import Registry, docker_registry
from tests.support.waiting import until

MIB = 1 << 20
SOON = ("--tracker-interval", "4")
"""Nodes look for errands every two seconds."""
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


async def test_a_job_goes_on_after_a_crash_of_its_node(tmp_path: Path) -> None:
    """It is told from a cancelled one, which does not; Ctrl-C ends the command, not the job."""
    image = many_layers_image(tmp_path / "image", count=4, size=8 * MIB)
    async with docker_registry(tmp_path / "registry") as registry:
        await push(image, registry, REPOSITORY)
        flags = ("--registry", f"{NAME}={registry.url}", *SOON)
        async with eagle_node(tmp_path / "n0", *flags, "--download-limit", "1MB") as node:
            await known(node, 1)
            moving = partial(_moving, node)
            async with running(
                command(node, IMAGE), log=tmp_path / "log", ready=moving, timeout=60
            ) as child:
                child.signal(signal.SIGINT)
                await until(partial(_ended, child), what="the end of the command", timeout=30)
                assert child.status == 130
                assert "preheat job 1 goes on without you" in child.log()
            await node.kill()
            await node.start()
            async with ApiClient(node.api_url) as api:
                assert (await api.preheat_job(1)).state in ("pending", "running")
                other = await api.preheat(IMAGE, platform="all")
                assert (await api.cancel_preheat(other.id)).state == "cancelled"
                with pytest.raises(Refused, match="has ended: cancelled"):
                    await api.cancel_preheat(other.id)
                await api.change("download-limit", "0")

                async def done() -> bool:
                    job = await api.preheat_job(1)
                    assert job.error == ""
                    return job.state == "succeeded"

                await until(done, what="the end of the job", timeout=60, interval=0.2)
                assert (await api.preheat_job(other.id)).state == "cancelled"
                assert (await api.blobs()).total == len(image.blobs)


async def test_what_cannot_be_preheated_is_told(tmp_path: Path) -> None:
    """An image that is not there, nodes that are not, words that mean nothing."""
    image = many_layers_image(tmp_path / "image", count=1, size=MIB)
    async with docker_registry(tmp_path / "registry") as registry:
        await push(image, registry, REPOSITORY)
        flags = ("--registry", f"{NAME}={registry.url}", *SOON)
        async with eagle_node(tmp_path / "n0", *flags) as node:
            await known(node, 1)
            absent = f"{NAME}/{REPOSITORY}:absent"
            for arguments, told in (
                ((absent,), r"status 1[\s\S]*job 1: \S+:absent failed[\s\S]*absent"),
                (
                    (IMAGE, "--nodes", "zone=x"),
                    r"status 1[\s\S]*none of the 1 nodes is meant by zone=x",
                ),
                ((IMAGE, "--nodes", "some"), r"status 2[\s\S]*none of all, seeders"),
                (
                    (IMAGE, "--platform", "linux/s390x"),
                    r"status 1[\s\S]*is made for linux/\w+ alone, not for linux/s390x",
                ),
                (("NO:IMAGE:AT/ALL",), r"status 2[\s\S]*is not a re"),
            ):
                with pytest.raises(CommandFailed, match=told):
                    await run(command(node, *arguments))


async def _moving(node: Node) -> bool:
    """Whether bytes of a job have come."""
    async with ApiClient(node.api_url) as api:
        jobs = (await api.preheat_jobs()).jobs
    return any(target.have_bytes for job in jobs for target in job.targets)


async def _ended(child: Process) -> bool:
    return child.status is not None
