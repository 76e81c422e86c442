"""Test networks have the speed that they are asked for, count bytes, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.support import http
from tests.support.images import Image, files_image, push
from tests.support.netns import network
from tests.support.process import run, running
from tests.support.registry import Registry, docker_registry
from tests.support.waiting import until

MIB = 1 << 20

OWNER = """
import asyncio
from tests.support.netns import network
async def main():
    async with network(["a"]) as net:
        print(net["a"].namespace, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""

READER = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as connection:
    name = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
    print(name.rstrip(b"\\0").decode())
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """One layer of 4 MiB."""
    return files_image(tmp_path_factory.mktemp("netns") / "image", [4 * MIB], compression=0)


async def _fetch(registry: Registry, image: Image, namespace: str) -> http.Download:
    blob = image.layers[0]
    url = f"{registry.url}/v2/app/blobs/{blob.digest}"
    return await http.download(url, digest=blob.digest, namespace=namespace)


@pytest.mark.parametrize("name", ["cubic", "reno"])
async def test_connections_have_their_congestion_control(name: str, tmp_path: Path) -> None:
    """Whatever the machine's own default is."""
    async with network(["origin", "a"], congestion_control=name) as net:
        origin = net["origin"]
        async with docker_registry(
            tmp_path / "registry", host=origin.address, namespace=origin.namespace
        ) as registry:
            endpoint = registry.url.removeprefix("http://").split(":")
            reader = [sys.executable, "-c", READER, *endpoint]
            told = await run(reader, namespace=net["a"].namespace)
    assert told.stdout.split() == [name]


@pytest.mark.alone
async def test_link_has_its_rate_both_ways(tmp_path: Path, image: Image) -> None:
    """A download over a 40 Mbit/s link takes the time that 40 Mbit/s take, from either end."""
    rate = 40_000_000
    async with network(["origin", "a"], rate=rate) as net:
        for server, reader in (("origin", "a"), ("a", "origin")):
            host = net[server]
            async with docker_registry(
                tmp_path / server, host=host.address, namespace=host.namespace
            ) as registry:
                await push(image, registry, "app")
                fetched = await _fetch(registry, image, net[reader].namespace)
            ideal = fetched.bytes * 8 / rate
            assert ideal * 0.95 < fetched.seconds < ideal * 1.3


async def test_counters_tell_hosts_and_zone_borders(tmp_path: Path, image: Image) -> None:
    """Bytes within a zone are counted at the hosts only; bytes between zones at the borders too."""
    size = image.layers[0].size
    async with network({"east": ["origin", "near"], "west": ["far"]}) as net:
        origin = net["origin"]
        async with docker_registry(
            tmp_path / "registry", host=origin.address, namespace=origin.namespace
        ) as registry:
            await push(image, registry, "app")
            await _fetch(registry, image, net["near"].namespace)
            local = await net.traffic()
            await _fetch(registry, image, net["far"].namespace)
            crossed = await net.traffic()
    assert local["near"].received > size > local["zone:east"].sent
    assert crossed["zone:east"].sent > size < crossed["zone:west"].received
    assert 2 * size < crossed["origin"].sent < 2.2 * size


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
async def test_namespaces_go_when_their_owner_dies(number: signal.Signals, tmp_path: Path) -> None:
    """However the owner of a network ends, the names of its namespaces go too."""
    async with running([sys.executable, "-c", OWNER], log=tmp_path / "owner.log") as owner:

        async def is_made() -> bool:
            return "-a" in owner.log()

        await until(is_made, what="the network")
        name = owner.log().split()[0]
        sleeper = ["sh", "-c", "echo inside; exec sleep 60"]
        async with running(sleeper, log=tmp_path / "sleep.log", namespace=name) as inside:

            async def is_inside() -> bool:
                return "inside" in inside.log()

            await until(is_inside, what="a process in the namespace")
            os.kill(owner.pid, number)
            await owner.wait()

            async def is_gone() -> bool:
                return name not in (await run(["ip", "netns", "list"])).stdout

            await until(is_gone, what=f"namespace {name} to go")
            assert inside.status is None
