"""A node beside a real containerd, whose content store it serves from."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from eagle_node.trust.key import create_key_file
from tests.support import http
from tests.support.clients.containerd import Containerd, containerd
from tests.support.clients.route import Route
from tests.support.images import Image, push, random_image
from tests.support.node import Node, eagle_node
from tests.support.origin import NAME
from tests.support.pulls import REPOSITORY, blob_url, pull_blob, refusal, traffic
from tests.support.registry import Credentials, Registry, docker_registry
from tests.support.waiting import until

MIB = 1 << 20
REFERENCE = f"{NAME}/{REPOSITORY}:latest"
LAYERS = (3 * MIB, 2 * MIB)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A registry, and a host with containerd and a node."""

    registry: Registry
    image: Image
    runtime: Containerd
    node: Node
    flags: tuple[str, ...]
    """Of every node that is to know the registry."""

    async def rows(self) -> dict[str, dict[str, Any]]:
        """What the node says of its blobs, by digest."""
        document = await http.get_json(f"{self.node.api_url}/v1/blobs?limit=1000")
        return {row["digest"]: row for row in document["blobs"]}

    async def ports(self, digest: str) -> list[int]:
        """Where the tracker sends those who want a blob."""
        document = await http.get_json(f"{self.node.tracker_url}/v1/holders/{digest}")
        return [holder["port"] for holder in document["holders"]]

    async def lends(self, *digests: str) -> None:
        """Wait until blobs lie in containerd's store only."""

        async def is_so() -> bool:
            rows = await self.rows()
            return all(rows.get(each, {}).get("source") == "containerd" for each in digests)

        await until(is_so, what="blobs to lie in containerd's store only", timeout=60)

    async def forgets(self, *digests: str) -> None:
        """Wait until the node neither has blobs nor is named for them."""

        async def is_so() -> bool:
            rows = await self.rows()
            named = [await self.ports(digest) for digest in digests]
            return not any(named) and not any(digest in rows for digest in digests)

        await until(is_so, what="blobs to be gone", timeout=60)


def content_flags(root: Path) -> tuple[str, ...]:
    """Of a node that lends what is in a store."""
    return ("--containerd-content", str(root), "--containerd-port", "0")


@asynccontextmanager
async def host(
    directory: Path, *flags: str, auth: Credentials | None = None
) -> AsyncIterator[Host]:
    """A node with ``flags`` beside a containerd that pulls through it."""
    image = random_image(directory / "image", LAYERS)
    async with docker_registry(directory / "registry", auth=auth) as registry:
        await push(image, registry, REPOSITORY)
        known = ("--registry", f"{NAME}={registry.url}")
        lent = content_flags(directory / "containerd" / "root")
        async with (
            eagle_node(directory / "a", *known, *lent, *flags) as node,
            containerd(
                directory / "containerd", Route(name=NAME, mirror=node.proxy_address)
            ) as runtime,
        ):
            yield Host(registry=registry, image=image, runtime=runtime, node=node, flags=known)


async def test_a_layer_is_on_the_disk_once(tmp_path: Path) -> None:
    """What containerd has pulled leaves the cache, and the next node gets it from there.

    The registry sends nothing more; ranges come out of containerd's file as well.
    """
    async with host(tmp_path, "--dedupe") as ground:
        node, digests = ground.node, [blob.digest for blob in ground.image.blobs]
        layer = ground.image.layers[0]
        await ground.runtime.fetch(REFERENCE)
        await ground.lends(*digests)
        status = await node.status()
        assert (status["cache"]["used_bytes"], status["cache"]["blobs"]) == (0, 0)
        assert status["containerd"]["blobs"] >= len(digests)
        assert status["containerd"]["bytes"] >= sum(LAYERS)
        held = [*(tmp_path / "a" / "data" / "cache").rglob("*.0000")]
        assert held == []
        before = await traffic(node)
        async with eagle_node(tmp_path / "b", *ground.flags, *node.pins) as second:
            for digest in digests:
                await pull_blob(second, digest)
            assert (await traffic(second))["origin_bytes"] == 0
        after = await traffic(node)
        assert after["origin_bytes"] == before["origin_bytes"]
        assert after["peer_upload_bytes"] - before["peer_upload_bytes"] >= sum(LAYERS)
        part = await http.download(
            blob_url(node, layer.digest),
            headers={"Range": f"bytes={MIB}-{2 * MIB - 1}"},
            status=206,
        )
        content = ground.image.content(layer).read_bytes()
        assert part.headers["Content-Range"] == f"bytes {MIB}-{2 * MIB - 1}/{layer.size}"
        assert part.sha256 == sha256(content[MIB : 2 * MIB]).hexdigest()
        assert (await traffic(node))["served_from"]["local"] > before["served_from"]["local"]


async def test_containerd_decides_how_long_blobs_stay(tmp_path: Path) -> None:
    """Its restart changes nothing; what it removes is neither served from there nor advertised."""
    async with host(tmp_path, "--dedupe") as ground:
        layer = ground.image.layers[0].digest
        await ground.runtime.fetch(REFERENCE)
        await ground.lends(layer)
        ports = await ground.ports(layer)
        assert len(ports) == 1
    async with (
        docker_registry(tmp_path / "registry") as registry,
        eagle_node(
            tmp_path / "a",
            *("--registry", f"{NAME}={registry.url}", "--dedupe"),
            *content_flags(tmp_path / "containerd" / "root"),
        ) as node,
    ):
        again = Host(
            registry=registry, image=ground.image, runtime=ground.runtime, node=node, flags=()
        )
        await again.lends(layer)
        assert (await node.status())["containerd"]["waiting"] == 0
        async with containerd(tmp_path / "containerd") as restarted:
            await restarted.remove(REFERENCE)
            assert not restarted.file(layer).exists()
            await again.forgets(*(blob.digest for blob in ground.image.blobs))
            assert (await node.status())["containerd"]["trouble"] == ""
        origin = (await traffic(node))["origin_bytes"]
        await pull_blob(node, layer)
        assert (await traffic(node))["origin_bytes"] > origin


async def test_a_flipped_byte_is_never_served(tmp_path: Path) -> None:
    """A damaged file is found by reading it, before and after it was lent."""
    async with host(tmp_path) as ground:
        node, (first, second) = ground.node, (layer.digest for layer in ground.image.layers)
        await ground.runtime.fetch(REFERENCE)
        for digest in (first, second):
            await _evict(node, digest)
        await ground.lends(first, second)
        _flip(ground.runtime.file(first))
        await pull_blob(node, first)
        await ground.node.terminate()
        (tmp_path / "a" / "data" / "lending.sqlite").unlink()
        _flip(ground.runtime.file(second))
        await ground.node.start()

        async def is_known() -> bool:
            status = (await node.status())["containerd"]
            return bool(status["wrong"] == 2 and status["waiting"] == 0)

        await until(is_known, what="the damage to be found", timeout=60)
        assert second not in await ground.rows()
        assert await ground.ports(second) == []
        await pull_blob(node, second)
        assert "holds other bytes" in node.log()


async def test_rights_are_the_registrys_also_for_what_containerd_has(tmp_path: Path) -> None:
    """A reader without credentials gets the registry's 401; one with them, the bytes from there."""
    auth = Credentials(user="alice", password="secret")
    async with host(tmp_path, auth=auth) as ground:
        await ground.runtime.fetch(REFERENCE, user="alice:secret")
        node, layer = ground.node, ground.image.layers[0].digest
        await _evict(node, layer)
        await ground.lends(layer)
        origin = await ground.registry.blob_bytes()
        await refusal(blob_url(node, layer), status=401)
        await refusal(blob_url(node, layer, repository="team/other"), status=401)
        await http.download(
            blob_url(node, layer),
            digest=layer,
            headers={"Authorization": auth.header},
        )
        assert await ground.registry.blob_bytes() == origin


@pytest.mark.slow
async def test_nodes_with_a_cluster_key_get_it_over_tls(tmp_path: Path) -> None:
    """Both ends are nodes of the cluster; the registry sends nothing more."""
    key = tmp_path / "cluster.key"
    create_key_file(key)
    secured = ("--cluster-key-file", str(key))
    async with host(tmp_path, "--dedupe", *secured) as ground:
        node, layers = ground.node, [layer.digest for layer in ground.image.layers]
        await ground.runtime.fetch(REFERENCE)
        await ground.lends(*layers)
        async with eagle_node(tmp_path / "b", *ground.flags, *secured, *node.pins) as second:
            for digest in layers:
                await pull_blob(second, digest)
            account = await traffic(second)
        assert account["origin_bytes"] == 0
        assert account["peer_download_bytes"] >= sum(LAYERS)


async def _evict(node: Node, digest: str) -> None:
    """Take the cache's copy away."""

    async def is_done() -> bool:
        url = f"{node.api_url}/v1/blobs/{digest}/evict"
        async with http.client() as session, session.post(url, json={}) as answer:
            return answer.status in (200, 409) and "containerd's store only" in await answer.text()

    await until(is_done, what=f"{digest} to be evicted", timeout=60)


def _flip(path: Path) -> None:
    """Alter one byte in the middle of a file, in place."""
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
