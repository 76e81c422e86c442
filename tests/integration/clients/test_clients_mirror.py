"""Unmodified container clients pull real images through a node, each in its own way."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.support.clients import CLIENTS, Route, containerd, dockerd
from tests.support.images import files_image, many_layers_image, push, runnable_image
from tests.support.netns import network
from tests.support.node import eagle_node
from tests.support.registry import docker_registry

MIB = 1 << 20
HUB = "docker.io"
"""The only registry that dockerd mirrors; the test's registry stands in for it."""


@pytest.mark.parametrize("name", CLIENTS)
async def test_client_pulls_through_the_mirror(name: str, tmp_path: Path) -> None:
    """The client gets the pushed digest, and every byte came from the registry once."""
    image = many_layers_image(tmp_path / "image")
    async with docker_registry(tmp_path / "registry") as registry:
        await push(image, registry, "library/app")
        async with (
            eagle_node(tmp_path / "node", "--registry", f"{HUB}={registry.url}") as node,
            CLIENTS[name](tmp_path / name, Route(name=HUB, mirror=node.proxy_address)) as client,
        ):
            assert await client.pull(f"{HUB}/library/app:latest") == image.digest
            traffic = (await node.status())["traffic"]
        assert await registry.blob_requests() == {blob.digest: 1 for blob in image.blobs}
        assert await registry.blob_bytes() == {blob.digest: blob.size for blob in image.blobs}
        assert traffic["origin_bytes"] >= image.size
        assert traffic["served_bytes"] >= image.size


async def test_all_clients_share_one_cache(tmp_path: Path) -> None:
    """Four clients one after the other: the registry sends each blob to the first only."""
    image = files_image(tmp_path / "image", [MIB, 3 * MIB])
    async with docker_registry(tmp_path / "registry") as registry:
        await push(image, registry, "library/app")
        async with eagle_node(tmp_path / "node", "--registry", f"{HUB}={registry.url}") as node:
            route = Route(name=HUB, mirror=node.proxy_address)
            for name, factory in CLIENTS.items():
                async with factory(tmp_path / name, route) as client:
                    assert await client.pull(f"{HUB}/library/app:latest") == image.digest
            served = (await node.status())["traffic"]["served_from"]
        assert await registry.blob_requests() == {blob.digest: 1 for blob in image.blobs}
        assert served["local"] >= (len(CLIENTS) - 1) * image.size


@pytest.mark.parametrize("name", ["containerd", "podman", "skopeo"])
async def test_mirror_serves_several_registries(name: str, tmp_path: Path) -> None:
    """Registries are told apart, by ``ns`` or by path, when repositories have the same name."""
    images = {
        registry: files_image(tmp_path / registry, [MIB], seed=registry)
        for registry in ("one.example", "two.example")
    }
    async with docker_registry(tmp_path / "r1") as one, docker_registry(tmp_path / "r2") as two:
        origins = {"one.example": one, "two.example": two}
        flags = []
        for registry, image in images.items():
            await push(image, origins[registry], "team/app")
            flags += ["--registry", f"{registry}={origins[registry].url}"]
        async with eagle_node(tmp_path / "node", *flags) as node:
            routes = [Route(name=registry, mirror=node.proxy_address) for registry in images]
            async with CLIENTS[name](tmp_path / name, *routes) as client:
                for registry, image in images.items():
                    assert await client.pull(f"{registry}/team/app:latest") == image.digest


async def test_pulled_container_runs(tmp_path: Path) -> None:
    """A container starts from an image that came through the mirror."""
    image = runnable_image(tmp_path / "image")
    async with docker_registry(tmp_path / "registry") as registry:
        await push(image, registry, "library/true")
        async with (
            eagle_node(tmp_path / "node", "--registry", f"{HUB}={registry.url}") as node,
            containerd(
                tmp_path / "containerd", Route(name=HUB, mirror=node.proxy_address)
            ) as client,
        ):
            assert await client.pull(f"{HUB}/library/true:latest") == image.digest
            await client.run(f"{HUB}/library/true:latest")


@pytest.mark.parametrize("name", ["containerd", "podman", "skopeo"])
async def test_pull_survives_a_dead_node(name: str, tmp_path: Path) -> None:
    """With the node killed, the client goes to the registry that is its fallback."""
    image = files_image(tmp_path / "image", [MIB])
    async with docker_registry(tmp_path / "registry") as registry:
        await push(image, registry, "team/app")
        async with eagle_node(
            tmp_path / "node", "--registry", f"one.example={registry.url}"
        ) as node:
            mirror = node.proxy_address
            await node.kill()
            route = Route(name="one.example", mirror=mirror, origin=registry.address)
            async with CLIENTS[name](tmp_path / name, route) as client:
                assert await client.pull("one.example/team/app:latest") == image.digest


async def test_dockerd_pulls_through_the_forward_proxy(tmp_path: Path) -> None:
    """With the node as its HTTP proxy, dockerd pulls from a registry that is not docker.io.

    Go's clients use no proxy for loopback addresses, so the registry is a host of its own.
    """
    image = files_image(tmp_path / "image", [MIB, 2 * MIB])
    async with AsyncExitStack() as stack:
        net = await stack.enter_async_context(network(["origin", "host"]))
        origin, host = net["origin"], net["host"]
        registry = await stack.enter_async_context(
            docker_registry(tmp_path / "registry", host=origin.address, namespace=origin.namespace)
        )
        await push(image, registry, "team/app")
        mapping = f"{registry.address}={registry.url}"
        node = await stack.enter_async_context(
            eagle_node(
                *(tmp_path / "node", "--registry", mapping),
                host=host.address,
                namespace=host.namespace,
            )
        )
        env = {"HTTP_PROXY": node.proxy_url, "HTTPS_PROXY": node.proxy_url, "NO_PROXY": ""}
        client = await stack.enter_async_context(
            dockerd(
                tmp_path / "dockerd",
                Route(name=registry.address),
                namespace=host.namespace,
                env=env,
            )
        )
        assert await client.pull(f"{registry.address}/team/app:latest") == image.digest
        assert await registry.blob_requests() == {blob.digest: 1 for blob in image.blobs}
        assert (await node.status())["traffic"]["served_bytes"] >= image.size
