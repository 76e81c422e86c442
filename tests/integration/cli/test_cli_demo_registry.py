"""The demo's registry and client, without a node between them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from eagle_node.base.errors import Unavailable, WrongContent
from eagle_node.cli.demo_image import Image, build_image
from eagle_node.cli.demo_pull import pull
from eagle_node.cli.demo_registry import REPOSITORY, TAG, DemoRegistry


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """A small image."""
    return build_image(tmp_path_factory.mktemp("image"), 1 << 20)


@pytest.fixture
async def registry(image: Image) -> AsyncIterator[DemoRegistry]:
    """A registry that serves it."""
    made = DemoRegistry(image)
    async with made.served():
        yield made


async def test_a_pull_brings_the_image_and_is_counted(image: Image, registry: DemoRegistry) -> None:
    """The client gets every blob, and the registry's account says so, byte by byte."""
    pulled = await pull(registry.url, "registry.demo", REPOSITORY, TAG)
    sizes = {blob.digest: blob.size for blob in image.blobs}
    assert pulled.manifest == image.digest
    assert pulled.sizes == sizes
    assert registry.sent == sizes


async def test_heads_are_not_counted_and_ranges_count_their_bytes(
    image: Image, registry: DemoRegistry
) -> None:
    """The account holds body bytes of blobs only."""
    layer = image.blobs[1]
    url = f"{registry.url}/v2/{REPOSITORY}/blobs/{layer.digest}"
    async with aiohttp.ClientSession() as http:
        async with http.head(url) as answer:
            assert (answer.status, answer.content_length) == (200, layer.size)
        async with http.get(url, headers={"Range": "bytes=10-19"}) as answer:
            assert answer.status == 206
            assert answer.headers["Content-Range"] == f"bytes 10-19/{layer.size}"
            assert await answer.read() == layer.path.read_bytes()[10:20]
        async with http.get(url, headers={"Range": f"bytes={layer.size}-"}) as answer:
            assert answer.status == 416
    assert registry.sent == {layer.digest: 10}


async def test_what_it_does_not_have_is_unknown(registry: DemoRegistry) -> None:
    """Another tag fails the pull with the registry's own words."""
    with pytest.raises(Unavailable, match=r"404: .*MANIFEST_UNKNOWN"):
        await pull(registry.url, "registry.demo", REPOSITORY, "other")


async def test_wrong_bytes_fail_the_pull(tmp_path: Path) -> None:
    """A blob that is not what its digest names is never taken for right."""
    image = build_image(tmp_path, 1 << 20)
    with image.blobs[1].path.open("r+b") as layer:
        layer.seek(100)
        layer.write(bytes(8))
    registry = DemoRegistry(image)
    async with registry.served():
        with pytest.raises(WrongContent, match="are not this blob"):
            await pull(registry.url, "registry.demo", REPOSITORY, TAG)


async def test_a_mirror_that_is_not_there_fails_the_pull(unused_tcp_port: int) -> None:
    """A refused connection is an error with the mirror's address."""
    mirror = f"http://127.0.0.1:{unused_tcp_port}"
    with pytest.raises(Unavailable, match=f"through {mirror} failed"):
        await pull(mirror, "registry.demo", REPOSITORY, TAG)
