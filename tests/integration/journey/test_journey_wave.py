"""Nodes that pull the same image at once: one copy from the registry, the rest from each other."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from tests.support.images import many_layers_image, push
from tests.support.node import eagle_node
from tests.support.origin import NAME
from tests.support.pulls import REPOSITORY, pull_image, traffic
from tests.support.registry import docker_registry

MIB = 1 << 20


async def test_three_nodes_pull_an_image_at_once(tmp_path: Path) -> None:
    """The registry sends each of 15 blobs once; the accounts of the three nodes add up."""
    image = many_layers_image(tmp_path / "image", size=12 * MIB)
    async with docker_registry(tmp_path / "registry") as registry, AsyncExitStack() as stack:
        await push(image, registry, REPOSITORY)
        origin = ("--registry", f"{NAME}={registry.url}")
        first = await stack.enter_async_context(eagle_node(tmp_path / "a", *origin))
        others = await asyncio.gather(
            *(
                stack.enter_async_context(eagle_node(tmp_path / name, *origin, *first.pins))
                for name in "bc"
            )
        )
        nodes = [first, *others]
        await asyncio.gather(*(pull_image(node, image) for node in nodes))

        assert await registry.blob_requests() == {blob.digest: 1 for blob in image.blobs}
        assert await registry.blob_bytes() == {blob.digest: blob.size for blob in image.blobs}
        accounts = [await traffic(node) for node in nodes]
        manifests = 2 * image.manifest.size
        for account in accounts:
            assert account["served_bytes"] == image.size + manifests
            assert sum(account["served_from"].values()) == account["served_bytes"]
        assert accounts[0]["origin_bytes"] >= image.size
        for account in accounts[1:]:
            assert account["peer_download_bytes"] >= image.size
            assert account["served_from"]["swarm"] >= image.size * 0.9
            assert account["origin_bytes"] <= manifests
        uploaded = sum(account["peer_upload_bytes"] for account in accounts)
        received = sum(account["peer_download_bytes"] for account in accounts)
        assert image.size <= uploaded <= received <= 2.2 * image.size


async def test_a_second_pull_moves_nothing(tmp_path: Path) -> None:
    """What is cached is served from disk: no byte from the registry, none from peers."""
    image = many_layers_image(tmp_path / "image", count=4, size=4 * MIB)
    async with docker_registry(tmp_path / "registry") as registry:
        await push(image, registry, REPOSITORY)
        async with eagle_node(tmp_path / "a", "--registry", f"{NAME}={registry.url}") as node:
            await pull_image(node, image)
            before = await traffic(node)
            await pull_image(node, image)
            after = await traffic(node)
        assert after["origin_bytes"] - before["origin_bytes"] <= image.manifest.size
        assert after["served_from"]["local"] - before["served_from"]["local"] >= image.size
        assert await registry.blob_requests() == {blob.digest: 1 for blob in image.blobs}
