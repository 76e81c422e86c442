"""Several hosts pull the same image at once, and the registry sends it once."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from tests.support.clients import CLIENTS, Route, containerd
from tests.support.images import many_layers_image, push
from tests.support.node import Node, eagle_node
from tests.support.registry import Registry, docker_registry

HUB = "docker.io"
MIB = 1 << 20


async def _three_nodes(stack: AsyncExitStack, directory: Path, registry: Registry) -> list[Node]:
    """A node with all roles and two that are proxies and peers pinned to it."""
    origin = ("--registry", f"{HUB}={registry.url}")
    first = await stack.enter_async_context(eagle_node(directory / "node-0", *origin))
    others = [
        await stack.enter_async_context(
            eagle_node(directory / f"node-{number}", *origin, *first.pins)
        )
        for number in (1, 2)
    ]
    return [first, *others]


async def test_three_nodes_pull_at_once(tmp_path: Path) -> None:
    """Three containerds on three nodes: right digests, one copy from the registry, peers used."""
    image = many_layers_image(tmp_path / "image", size=24 * MIB)
    async with docker_registry(tmp_path / "registry") as registry, AsyncExitStack() as stack:
        await push(image, registry, "library/app")
        nodes = await _three_nodes(stack, tmp_path, registry)
        clients = [
            await stack.enter_async_context(
                containerd(
                    tmp_path / f"containerd-{number}", Route(name=HUB, mirror=node.proxy_address)
                )
            )
            for number, node in enumerate(nodes)
        ]
        await asyncio.gather(*(client.fetch(f"{HUB}/library/app:latest") for client in clients))
        for client in clients:
            assert client.stored() == {image.digest, *(blob.digest for blob in image.blobs)}
        assert await registry.blob_requests() == {blob.digest: 1 for blob in image.blobs}
        assert await registry.blob_bytes() == {blob.digest: blob.size for blob in image.blobs}
        for node in nodes[1:]:
            assert (await node.status())["traffic"]["peer_download_bytes"] >= image.size


async def test_different_clients_share_one_swarm(tmp_path: Path) -> None:
    """containerd, podman and skopeo on three nodes pull at once; the registry sends one copy."""
    image = many_layers_image(tmp_path / "image")
    async with docker_registry(tmp_path / "registry") as registry, AsyncExitStack() as stack:
        await push(image, registry, "library/app")
        nodes = await _three_nodes(stack, tmp_path, registry)
        names = ["containerd", "podman", "skopeo"]
        clients = [
            await stack.enter_async_context(
                CLIENTS[name](tmp_path / name, Route(name=HUB, mirror=node.proxy_address))
            )
            for name, node in zip(names, nodes, strict=True)
        ]
        digests = await asyncio.gather(
            *(client.pull(f"{HUB}/library/app:latest") for client in clients)
        )
        assert digests == [image.digest] * 3
        assert await registry.blob_bytes() == {blob.digest: blob.size for blob in image.blobs}


async def test_late_node_pulls_from_peers_alone(tmp_path: Path) -> None:
    """After one node has the image, another one's pull takes no blob byte from the registry."""
    image = many_layers_image(tmp_path / "image")
    async with docker_registry(tmp_path / "registry") as registry, AsyncExitStack() as stack:
        await push(image, registry, "library/app")
        nodes = await _three_nodes(stack, tmp_path, registry)
        for number, node in enumerate(nodes):
            route = Route(name=HUB, mirror=node.proxy_address)
            async with containerd(tmp_path / f"containerd-{number}", route) as client:
                await client.fetch(f"{HUB}/library/app:latest")
                assert client.stored() == {image.digest, *(blob.digest for blob in image.blobs)}
            assert await registry.blob_requests() == {blob.digest: 1 for blob in image.blobs}
