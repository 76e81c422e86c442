"""Real clients and content that is not the usual image."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.clients import CLIENTS, Route
from tests.support.images import Image, push, random_image
from tests.support.node import eagle_node
from tests.support.process import run
from tests.support.registry import docker_registry

MIB = 1 << 20
NAME = "one.example"


async def _zstd_image(directory: Path) -> tuple[Image, str]:
    """An image whose layers skopeo has compressed with zstd, and its digest."""
    plain = random_image(directory / "plain", [MIB, 2 * MIB])
    layout = directory / "zstd"
    await run(
        [
            *["skopeo", "--insecure-policy", "copy", "--quiet"],
            *["--dest-compress", "--dest-compress-format", "zstd"],
            *[f"oci:{plain.layout}:image", f"oci:{layout}:image"],
        ]
    )
    index = json.loads((layout / "index.json").read_text())
    digest: str = index["manifests"][0]["digest"]
    manifest = json.loads(
        (layout / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_text()
    )
    assert {each["mediaType"].rpartition("+")[2] for each in manifest["layers"]} == {"zstd"}
    return replace(plain, layout=layout), digest


@pytest.mark.parametrize("name", ["containerd", "podman", "skopeo"])
async def test_zstd_layers_are_pulled(name: str, tmp_path: Path) -> None:
    """The client gets the pushed digest and unpacks what it has got."""
    image, digest = await _zstd_image(tmp_path / "image")
    async with docker_registry(tmp_path / "registry") as registry:
        await push(image, registry, "team/app")
        async with (
            eagle_node(tmp_path / "node", "--registry", f"{NAME}={registry.url}") as node,
            CLIENTS[name](tmp_path / name, Route(name=NAME, mirror=node.proxy_address)) as client,
        ):
            assert await client.pull(f"{NAME}/team/app:latest") == digest
            assert (await node.status())["traffic"]["served_bytes"] >= 3 * MIB
