"""Manifests, as an HTTP client sees them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from eagle_node.base.digest import digest_of
from eagle_node.registry.manifest_store import ManifestStore, StoredManifest
from eagle_node.registry.names import Repository
from tests.integration.registry.origin import NAME
from tests.unit.proxy.rig import Rig, oci_code, proxying

TYPE = "application/vnd.oci.image.manifest.v1+json"
BODY = json.dumps({"schemaVersion": 2, "mediaType": TYPE}).encode()
DIGEST = digest_of(BODY)
REPOSITORY = Repository(NAME, "team/app")


class Registry:
    """An origin with one manifest, that can be told to be down, slow or silent on sizes."""

    def __init__(self) -> None:
        self.down = False
        self.body = BODY
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.asked = asyncio.Event()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.asked.set()
        await self.may_answer.wait()
        if self.down:
            return web.Response(status=503)
        if request.headers.get("Authorization") == "Basic wrong":
            return web.Response(status=403)
        reference = request.path.rpartition("/")[2]
        if reference not in ("latest", digest_of(self.body)):
            return web.Response(status=404)
        headers = {"Docker-Content-Digest": digest_of(self.body), "Content-Type": TYPE}
        return web.Response(body=self.body, headers=headers)


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
async def proxy(tmp_path: Path, registry: Registry) -> AsyncIterator[Rig]:
    async with proxying(tmp_path, registry) as rig:
        yield rig


async def get(proxy: Rig, reference: str, **headers: str) -> tuple[int, bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with proxy.client.get(proxy.manifest(reference), headers=named) as answer:
        return answer.status, await answer.read()


@pytest.mark.parametrize("reference", ["latest", DIGEST])
async def test_a_manifest_has_its_type_length_and_digest(proxy: Rig, reference: str) -> None:
    """For GET and HEAD alike; containerd needs all three."""
    for method in ("HEAD", "GET"):
        async with proxy.client.request(method, proxy.manifest(reference)) as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"] == TYPE
            assert answer.headers["Content-Length"] == str(len(BODY))
            assert answer.headers["Docker-Content-Digest"] == DIGEST
            assert await answer.read() == (BODY if method == "GET" else b"")


async def test_a_digest_is_asked_for_once(proxy: Rig) -> None:
    """Its content cannot change, and the origin's yes to this client is remembered."""
    assert await get(proxy, DIGEST) == (200, BODY)
    assert await get(proxy, DIGEST) == (200, BODY)
    assert await get(proxy, DIGEST, If_None_Match=f'"{DIGEST}"') == (304, b"")
    assert len(proxy.origin.seen) == 1


async def test_a_stored_manifest_is_given_only_to_whom_the_origin_would_give_it(
    proxy: Rig,
) -> None:
    """Another client's yes is not this one's."""
    assert await get(proxy, DIGEST) == (200, BODY)
    status, body = await get(proxy, DIGEST, Authorization="Basic wrong")
    assert (status, oci_code(body)) == (403, "DENIED")


async def test_a_tag_is_asked_for_each_time(proxy: Rig, registry: Registry) -> None:
    """It may name something else by now."""
    assert await get(proxy, "latest") == (200, BODY)
    registry.body = BODY + b"\n"
    assert await get(proxy, "latest") == (200, BODY + b"\n")


async def test_requests_for_the_same_tag_at_the_same_time_are_one(
    proxy: Rig, registry: Registry
) -> None:
    """A client that goes away meanwhile takes none of the others with it."""
    registry.may_answer.clear()
    clients = [asyncio.create_task(get(proxy, "latest")) for _ in range(10)]
    await registry.asked.wait()
    await asyncio.sleep(0.05)
    clients[0].cancel()
    registry.may_answer.set()
    results = await asyncio.gather(*clients, return_exceptions=True)
    assert results[1:] == [(200, BODY)] * 9
    assert len(proxy.origin.seen) == 1


@pytest.mark.parametrize("reference", ["latest", DIGEST])
async def test_what_was_seen_is_served_stale_while_the_origin_is_down(
    tmp_path: Path, registry: Registry, reference: str
) -> None:
    """To who was allowed to see it, marked as such; to nobody else."""
    async with proxying(tmp_path, registry) as proxy:
        assert await get(proxy, "latest", Authorization="Basic right") == (200, BODY)
        registry.down = True
        shown = {"Authorization": "Basic right"}
        async with proxy.client.get(proxy.manifest("latest"), headers=shown) as answer:
            assert (answer.status, await answer.read()) == (200, BODY)
            assert answer.headers["Warning"].startswith("110")
            assert answer.headers["Age"].isdecimal()
        for others in ({}, {"Authorization": "Basic other"}):
            status, body = await get(proxy, reference, **others)
            assert (status, oci_code(body)) == (502, "UNAVAILABLE")
        assert (await get(proxy, reference, **shown))[0] == 200


async def test_what_was_public_is_served_stale_to_everybody(proxy: Rig, registry: Registry) -> None:
    """Who shows credentials could have shown none."""
    assert await get(proxy, "latest") == (200, BODY)
    registry.down = True
    for reader in ({}, {"Authorization": "Basic other"}):
        assert await get(proxy, "latest", **reader) == (200, BODY)


async def test_a_client_can_have_the_registry_asked(proxy: Rig) -> None:
    """``Cache-Control: no-cache`` leaves what is remembered aside."""
    assert await get(proxy, DIGEST) == (200, BODY)
    assert await get(proxy, DIGEST, Cache_Control="no-cache") == (200, BODY)
    assert len(proxy.origin.seen) == 2


async def test_an_unknown_manifest_is_a_404(proxy: Rig) -> None:
    """The origin's word, as an OCI error."""
    status, body = await get(proxy, "nothing")
    assert (status, oci_code(body)) == (404, "MANIFEST_UNKNOWN")


async def test_a_manifest_of_another_digest_is_not_passed_on(tmp_path: Path) -> None:
    """Wrong bytes are a fault of the origin: 502, and nothing is stored."""

    async def lying(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"{}", headers={"Content-Type": TYPE})

    async with proxying(tmp_path, lying) as proxy:
        status, body = await get(proxy, DIGEST)
        assert (status, oci_code(body)) == (502, "DIGEST_INVALID")
        assert (await get(proxy, DIGEST))[0] == 502


async def test_head_without_a_length_tells_none(tmp_path: Path) -> None:
    """Clients then GET; a length of 0 would be a lie."""

    async def silent(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": TYPE})
        await response.prepare(request)
        return response

    async with (
        proxying(tmp_path, silent) as proxy,
        proxy.client.head(proxy.manifest("latest")) as answer,
    ):
        assert answer.status == 200
        assert "Content-Length" not in answer.headers


async def test_the_store_keeps_manifests_and_tags_over_a_restart(tmp_path: Path) -> None:
    """The last thing that a tag has named is what it names."""
    path = tmp_path / "manifests.sqlite"
    stored = StoredManifest(digest=DIGEST, media_type=TYPE, body=BODY)
    async with ManifestStore(path) as store:
        assert await store.get(DIGEST) is None
        assert await store.tagged(REPOSITORY, "latest") is None
        await store.put(stored)
        await store.put(stored)
        await store.tag(REPOSITORY, "latest", digest_of(b"older"))
        await store.tag(REPOSITORY, "latest", DIGEST)
    async with ManifestStore(path) as store:
        assert await store.get(DIGEST) == stored
        assert await store.tagged(REPOSITORY, "latest") == DIGEST
        assert await store.tagged(Repository("other.test", "team/app"), "latest") is None
