"""The clients that other tests rely on pull from a registry, with no node in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.clients import CLIENTS, Route, containerd
from tests.support.images import files_image, many_layers_image, push, runnable_image
from tests.support.process import CommandFailed
from tests.support.registry import docker_registry

MIB = 1 << 20


@pytest.mark.parametrize("name", CLIENTS)
async def test_client_pulls_straight_from_a_registry(name: str, tmp_path: Path) -> None:
    """A client pulls a real image and names the digest that was pushed; each blob is sent once."""
    image = files_image(tmp_path / "image", [MIB, 2 * MIB])
    async with docker_registry(tmp_path / "registry") as registry:
        reference = await push(image, registry, "library/app")
        route = Route(name=registry.address, origin=registry.address)
        async with CLIENTS[name](tmp_path / name, route) as client:
            assert await client.pull(reference) == image.digest
        assert await registry.blob_requests() == {blob.digest: 1 for blob in image.blobs}
        assert await registry.blob_bytes() == {blob.digest: blob.size for blob in image.blobs}


@pytest.mark.parametrize("name", CLIENTS)
async def test_client_fails_where_there_is_no_image(name: str, tmp_path: Path) -> None:
    """A reference that the registry does not know is an error, not an empty image."""
    async with docker_registry(tmp_path / "registry") as registry:
        route = Route(name=registry.address, origin=registry.address)
        async with CLIENTS[name](tmp_path / name, route) as client:
            with pytest.raises(CommandFailed):
                await client.pull(f"{registry.address}/library/absent:latest")


async def test_containerd_verifies_and_keeps_every_blob(tmp_path: Path) -> None:
    """After a pull the content store holds manifest, config and all of many layers."""
    image = many_layers_image(tmp_path / "image")
    async with docker_registry(tmp_path / "registry") as registry:
        reference = await push(image, registry, "many")
        route = Route(name=registry.address, origin=registry.address)
        async with containerd(tmp_path / "containerd", route) as client:
            await client.pull(reference)
            assert await client.content() >= {image.digest, *(b.digest for b in image.blobs)}


async def test_containers_start_from_a_pulled_image(tmp_path: Path) -> None:
    """The command of the runnable image ends with status 0 in a container."""
    image = runnable_image(tmp_path / "image")
    async with docker_registry(tmp_path / "registry") as registry:
        reference = await push(image, registry, "true")
        route = Route(name=registry.address, origin=registry.address)
        async with containerd(tmp_path / "containerd", route) as client:
            assert await client.pull(reference) == image.digest
            await client.run(reference)
