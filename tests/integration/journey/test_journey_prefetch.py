"""Images whose layers are on their way before they are asked for."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.support import http
from tests.support.images import MANIFEST_TYPE, Image, many_layers_image, push
from tests.support.node import Node, eagle_node
from tests.support.origin import NAME, scripted_origin
from tests.support.pulls import REPOSITORY, manifest_url, pull_blob, pull_image
from tests.support.registry import Credentials, Registry, docker_registry
from tests.support.waiting import until

MIB = 1 << 20
AUTH = Credentials(user="reader", password="correct-horse-7731")
RIGHT = {"Authorization": AUTH.header}


@asynccontextmanager
async def stocked(
    directory: Path, *, auth: Credentials | None = None
) -> AsyncIterator[tuple[Registry, Image, tuple[str, str]]]:
    """A registry with an image of 14 layers, and the flags that lead to it."""
    image = many_layers_image(directory / "image", size=6 * MIB)
    async with docker_registry(directory / "registry", auth=auth) as registry:
        await push(image, registry, REPOSITORY)
        yield registry, image, ("--registry", f"{NAME}={registry.url}")


async def _read_manifest(
    node: Node, image: Image, reference: str = "latest", **headers: str
) -> None:
    """Only the manifest."""
    url = manifest_url(node, reference)
    await http.download(url, digest=image.digest, headers={"Accept": MANIFEST_TYPE, **headers})


async def _until_cached(node: Node, count: int) -> None:
    async def is_cached() -> bool:
        cache: dict[str, int] = (await node.status())["cache"]
        return cache["blobs"] == count

    await until(is_cached, what=f"{count} blobs to be in the cache")


async def _blob_requests(registry: Registry) -> Counter[tuple[str, str]]:
    """The nodes' requests for blobs by method and digest, refused ones too."""
    return Counter(
        (each.method, each.path.rpartition("/")[2])
        for each in await registry.accesses()
        if "/blobs/sha256:" in each.path and each.agent.startswith("eagle-node")
    )


async def test_a_manifest_brings_its_layers_to_the_seeder(tmp_path: Path) -> None:
    """Read through another node, by tag and by digest, many times: each blob comes once."""
    async with (
        stocked(tmp_path) as (registry, image, at),
        eagle_node(tmp_path / "a", *at) as seeder,
        eagle_node(tmp_path / "b", *at, *seeder.pins) as node,
    ):
        await asyncio.gather(
            *(_read_manifest(node, image, each) for each in ("latest", image.digest) * 3)
        )
        await _until_cached(seeder, len(image.blobs))
        assert await registry.blob_requests() == {blob.digest: 1 for blob in image.blobs}
        assert (await node.status())["cache"]["blobs"] == 0
        await pull_image(node, image)
        assert await registry.blob_bytes() == {blob.digest: blob.size for blob in image.blobs}


async def test_a_wave_costs_the_origin_what_one_node_costs(tmp_path: Path) -> None:
    """Per blob one GET and at most one question whether the client may read it."""
    async with stocked(tmp_path) as (registry, image, at), AsyncExitStack() as stack:
        first = await stack.enter_async_context(eagle_node(tmp_path / "a", *at))
        others = await asyncio.gather(
            *(
                stack.enter_async_context(eagle_node(tmp_path / name, *at, *first.pins))
                for name in "bcde"
            )
        )
        await asyncio.gather(*(pull_image(node, image) for node in (first, *others)))
        requests = await _blob_requests(registry)
        for blob in image.blobs:
            assert requests.pop(("GET", blob.digest)) == 1
            assert requests.pop(("HEAD", blob.digest), 0) <= 1
        assert not requests


async def test_private_layers_come_with_the_clients_own_credentials(tmp_path: Path) -> None:
    """Who reads the manifest without them has nothing fetched, and reads nothing afterwards."""
    async with (
        stocked(tmp_path, auth=AUTH) as (registry, image, at),
        eagle_node(tmp_path / "a", *at) as seeder,
        eagle_node(tmp_path / "b", *at, *seeder.pins) as node,
    ):
        async with http.client() as session, session.get(manifest_url(node, "latest")) as refused:
            assert refused.status == 401
        await _read_manifest(node, image, **RIGHT)
        await _until_cached(seeder, len(image.blobs))
        for blob in image.layers[:2]:
            for each in (node, seeder):
                url = f"{each.proxy_url}/v2/{REPOSITORY}/blobs/{blob.digest}?ns={NAME}"
                async with http.client() as session, session.get(url) as answer:
                    assert answer.status == 401
        assert await registry.blob_requests() == {blob.digest: 1 for blob in image.blobs}
        await pull_blob(node, image.layers[0].digest, headers=RIGHT)


async def test_what_is_only_looked_at_is_not_fetched(tmp_path: Path) -> None:
    """Neither for a HEAD, nor for an index, nor where it is switched off."""
    async with scripted_origin() as origin:
        layer = origin.add_random(2 * MIB)
        described = {"mediaType": "layer", "digest": layer, "size": 2 * MIB}
        manifest = json.dumps({"mediaType": MANIFEST_TYPE, "layers": [described]}).encode()
        digest = origin.add_manifest("latest", manifest)
        origin.add_manifest(digest, manifest)
        named = {"mediaType": MANIFEST_TYPE, "digest": digest, "size": len(manifest)}
        origin.add_manifest("index", json.dumps({"manifests": [named]}).encode())
        async with (
            eagle_node(tmp_path / "a", *origin.flags) as node,
            eagle_node(tmp_path / "b", *origin.flags, "--prefetch", "0") as without,
        ):
            await http.download(manifest_url(node, "index"))
            async with http.client() as session, session.head(manifest_url(node, digest)) as head:
                assert head.status == 200
            await http.download(manifest_url(without, "latest"))
            await asyncio.sleep(0.3)
            assert origin.gets(layer) == []
            await http.download(manifest_url(node, digest), digest=digest)
            await _until_cached(node, 1)
            assert len(origin.gets(layer)) == 1
