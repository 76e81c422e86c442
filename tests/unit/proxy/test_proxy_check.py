"""The check image, which only a node serves."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
from aiohttp import web

from eagle_node.base.check_image import REPOSITORY, check_image, is_check_tag
from eagle_node.base.digest import digest_of
from tests.unit.proxy.rig import proxying

TAG = "check-0123456789abcdef"


async def refusing(request: web.Request) -> web.Response:
    """An origin that has nothing."""
    return web.Response(status=404)


async def test_the_image_is_whole_and_its_pull_is_told(tmp_path: Path) -> None:
    """Manifest, config and layer come from the node; then the tag is listed, for any registry."""
    async with proxying(tmp_path, refusing) as rig:
        base = f"{rig.url}/v2/r.example/{REPOSITORY}"
        async with rig.client.get(f"{base}/manifests/{TAG}") as answer:
            manifest = json.loads(body := await answer.read())
            assert answer.headers["Docker-Content-Digest"] == digest_of(body)
        async with rig.client.head(f"{base}/manifests/{digest_of(body)}") as answer:
            assert answer.headers["Content-Length"] == str(len(body))
        for descriptor in (*manifest["layers"], manifest["config"]):
            assert await tags(rig.client, base) == []
            async with rig.client.get(f"{base}/blobs/{descriptor['digest']}") as answer:
                assert digest_of(await answer.read()) == descriptor["digest"]
        assert await tags(rig.client, base) == [TAG]
        assert await tags(rig.client, f"{rig.url}/v2/{REPOSITORY}") == [TAG]


async def test_other_tags_are_the_registrys(tmp_path: Path) -> None:
    """What is no check tag, and blobs of no check image, are asked of the registry."""
    async with proxying(tmp_path, refusing) as rig:
        for path in ("manifests/latest", f"blobs/sha256:{'0' * 64}"):
            async with rig.client.get(f"{rig.url}/v2/{REPOSITORY}/{path}?ns=x.example") as answer:
                assert answer.status in (404, 502)
    assert not is_check_tag("latest")


async def test_the_memory_of_pulls_is_bounded(tmp_path: Path) -> None:
    """Whoever pulls a thousand tags costs the node no more than the last few."""
    async with proxying(tmp_path, refusing) as rig:
        base = f"{rig.url}/v2/r.example/{REPOSITORY}"
        for number in range(80):
            tag = f"check-{number:016x}"
            async with rig.client.get(f"{base}/manifests/{tag}"):
                pass
            async with rig.client.get(f"{base}/blobs/{digest_of(check_image(tag).config)}"):
                pass
        found = await tags(rig.client, base)
    assert len(found) == 64
    assert found[-1] == f"check-{79:016x}"


async def tags(client: aiohttp.ClientSession, base: str) -> list[str]:
    """What the node says has been pulled."""
    async with client.get(f"{base}/tags/list") as answer:
        listed: list[str] = (await answer.json())["tags"]
    return listed
