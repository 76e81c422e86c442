"""The example files for container runtimes, used as they stand by the real clients."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.clients import Route, containerd, dockerd
from tests.support.clients.podman import podman
from tests.support.clients.skopeo import skopeo
from tests.support.images import files_image, push
from tests.support.netns import network
from tests.support.node import eagle_node
from tests.support.registry import docker_registry

EXAMPLES = Path(__file__).parents[3] / "examples"
HUB = "docker.io"
DEFAULT_PORT = "127.0.0.1:43002"
REFERENCE = f"{HUB}/library/app:latest"


@dataclass(frozen=True, slots=True)
class Place:
    """A host of its own, where a node listens on its default port."""

    namespace: str
    digest: str
    """Of the image's manifest."""


@asynccontextmanager
async def place(directory: Path) -> AsyncIterator[Place]:
    """A namespace with a registry that stands in for Docker Hub, and a node before it."""
    image = files_image(directory / "image", [1 << 20])
    async with network(["host"]) as net:
        host = net["host"]
        async with docker_registry(directory / "registry", namespace=host.namespace) as registry:
            await push(image, registry, "library/app")
            flags = ("--registry", f"{HUB}={registry.url}", "--proxy-listen", DEFAULT_PORT)
            async with eagle_node(directory / "node", *flags, namespace=host.namespace):
                yield Place(host.namespace, image.digest)


async def test_containerd_reads_the_example(tmp_path: Path) -> None:
    """``_default/hosts.toml`` sends every registry's pulls through the node."""
    hosts = tmp_path / "containerd" / "hosts" / "_default"
    hosts.mkdir(parents=True)
    shutil.copy(EXAMPLES / "containerd" / "hosts.toml", hosts)
    async with (
        place(tmp_path) as here,
        containerd(tmp_path / "containerd", namespace=here.namespace) as client,
    ):
        assert await client.pull(REFERENCE) == here.digest


async def test_podman_and_skopeo_read_the_example(tmp_path: Path) -> None:
    """The file of ``registries.conf.d`` names the registry in the mirror's path."""
    example = EXAMPLES / "podman" / "eagle-node.conf"
    async with place(tmp_path) as here:
        for factory in (podman, skopeo):
            directory = tmp_path / factory.__name__
            async with factory(directory, namespace=here.namespace) as client:
                shutil.copy(example, directory / "registries.conf")
                assert await client.pull(REFERENCE) == here.digest


async def test_docker_reads_the_example(tmp_path: Path) -> None:
    """The daemon that pulls through the node runs with the very mirrors of the example."""
    route = Route(name=HUB, mirror=DEFAULT_PORT)
    example = json.loads((EXAMPLES / "docker" / "daemon.json").read_text())
    async with (
        place(tmp_path) as here,
        dockerd(tmp_path / "dockerd", route, namespace=here.namespace) as client,
    ):
        used = json.loads((tmp_path / "dockerd" / "daemon.json").read_text())
        assert example.items() <= used.items()
        assert await client.pull(REFERENCE) == here.digest
