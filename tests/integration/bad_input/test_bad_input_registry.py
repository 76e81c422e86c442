"""Registries that answer wrongly: an honest error, a bounded number of questions, no poison."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.support import http
from tests.support.node import Node, eagle_node
from tests.support.origin import Behaviour, Origin, scripted_origin
from tests.support.pulls import blob_url, manifest_url, pull_blob, refusal, traffic
from tests.support.waiting import until

MIB = 1 << 20
SIZE = 3 * MIB
QUICK = (
    "--origin-timeout",
    "2",
    "--origin-retries",
    "1",
    "--denied-ttl",
    "0.1",
    "--swarm-stall",
    "1",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A seeder and a child of it, with a scripted origin."""

    origin: Origin
    seeder: Node
    child: Node


@asynccontextmanager
async def two_nodes(directory: Path) -> AsyncIterator[Scene]:
    """Nodes that lose patience quickly; both must have nothing to be ashamed of in their logs."""
    async with (
        scripted_origin() as origin,
        eagle_node(directory / "a", *origin.flags, *QUICK) as seeder,
        eagle_node(directory / "b", *origin.flags, *QUICK, *seeder.pins) as child,
    ):
        yield Scene(origin=origin, seeder=seeder, child=child)
        for node in (seeder, child):
            assert "Traceback" not in node.log()


async def _is_cut_off(node: Node, digest: str) -> None:
    """A pull ends short of its length, or with 502; never with a whole body."""
    try:
        await http.download(blob_url(node, digest), status=502)
    except aiohttp.ClientPayloadError:
        pass


async def _holds_nothing(node: Node) -> None:
    """Wait until a node has let go of what it discards."""

    async def is_empty() -> bool:
        listed = await http.get_json(f"{node.api_url}/v1/blobs")
        return bool(not listed["blobs"] and not (await node.status())["cache"]["used_bytes"])

    await until(is_empty, what="the cache to be empty")


@pytest.mark.parametrize("size", [SIZE, 1000], ids=["swarmed", "inline"])
async def test_wrong_bytes_reach_no_cache(tmp_path: Path, size: int) -> None:
    """No client gets a whole body, no cache holds it; once right, the blob comes everywhere."""
    async with two_nodes(tmp_path) as scene, asyncio.timeout(60):
        digest = scene.origin.add_random(size)
        scene.origin.always(digest, Behaviour(wrong=True))
        for node in (scene.child, scene.seeder):
            await _is_cut_off(node, digest)
        for node in (scene.child, scene.seeder):
            await _holds_nothing(node)
        assert scene.origin.sent(digest) <= 3 * size, "one body per fetch: two of the seeder's"
        scene.origin.always(digest, Behaviour())
        for node in (scene.child, scene.seeder):
            await pull_blob(node, digest)


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (Behaviour(page=True), "web page"),
        (Behaviour(status=500), "answered 500"),
        (Behaviour(status=503, headers={"Retry-After": "1"}), "answered 503"),
        (Behaviour(stall=0), "nothing came for 2 s"),
        (Behaviour(headers={"Content-Encoding": "gzip"}), "Content-Encoding gzip"),
    ],
    ids=["page", "500", "503", "stall", "encoded"],
)
async def test_a_broken_origin_is_a_502(tmp_path: Path, behaviour: Behaviour, reason: str) -> None:
    """The reason is told, the origin is asked a few times only, and a good pull follows.

    It follows once the origin's ``Retry-After`` is over.
    """
    async with two_nodes(tmp_path) as scene, asyncio.timeout(60):
        digest = scene.origin.add_random(SIZE)
        scene.origin.always(digest, behaviour)
        for node in (scene.child, scene.seeder):
            if behaviour.stall is None:
                assert reason in await refusal(blob_url(node, digest), status=502)
            else:
                await _is_cut_off(node, digest)
                assert reason in node.log()
        assert len(scene.origin.gets(digest)) <= 12
        scene.origin.always(digest, Behaviour())

        async def is_asked_again() -> bool:
            return await http.answers(blob_url(scene.child, digest))

        await until(is_asked_again, what="the origin to be asked again")
        await pull_blob(scene.child, digest)


@pytest.mark.parametrize("at", [0, 1, MIB + 7])
async def test_a_body_that_never_comes_whole(tmp_path: Path, at: int) -> None:
    """An origin that always breaks at the same byte: the client is cut off, not kept waiting."""
    async with two_nodes(tmp_path) as scene, asyncio.timeout(60):
        digest = scene.origin.add_random(SIZE)
        scene.origin.script(digest, *[Behaviour(cut=at)] + [Behaviour(cut=0)] * 20)
        await _is_cut_off(scene.child, digest)
        assert len(scene.origin.gets(digest)) <= 8
        scene.origin.forget_script(digest)
        await pull_blob(scene.child, digest)
        await pull_blob(scene.seeder, digest)


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (401, {"WWW-Authenticate": 'Basic realm="r"'}),
        (403, {}),
        (404, {}),
        (429, {"Retry-After": "7"}),
    ],
)
async def test_a_refusal_is_the_origins_own(
    tmp_path: Path, status: int, headers: Mapping[str, str]
) -> None:
    """Status and header come through, from a child as from the seeder, for blobs and manifests."""
    async with two_nodes(tmp_path) as scene:
        digest = scene.origin.add_random(SIZE)
        for name in (digest, "latest"):
            scene.origin.always(name, Behaviour(status=status, headers=headers))
        for node in (scene.child, scene.seeder):
            for url in (blob_url(node, digest), manifest_url(node, "latest")):
                async with http.client() as session, session.get(url) as answer:
                    assert answer.status == status
                    for key, value in headers.items():
                        assert answer.headers[key] == value
        assert len(scene.origin.gets(digest)) <= 4
        scene.origin.always(digest, Behaviour())

        async def allowed() -> bool:
            return await http.answers(blob_url(scene.child, digest))

        await until(allowed, what="the refusal to be forgotten")


async def test_credentials_do_not_follow_a_redirect(tmp_path: Path) -> None:
    """The other host sends the bytes without having seen who asks."""
    async with two_nodes(tmp_path) as scene, scripted_origin() as elsewhere:
        digest = scene.origin.add_random(SIZE)
        elsewhere.add(scene.origin.content(digest))
        scene.origin.always(digest, Behaviour(redirect=elsewhere.url))
        secret = {"Authorization": "Basic cmVhZGVyOnB3"}
        await pull_blob(scene.child, digest, headers=secret)
        assert scene.origin.gets(digest)[0].headers["Authorization"] == secret["Authorization"]
        assert len(elsewhere.gets(digest)) == 1
        assert not any("Authorization" in seen.headers for seen in elsewhere.requests)
        assert (await traffic(scene.child))["origin_bytes"] == 0


async def test_a_manifest_of_another_digest_is_refused(tmp_path: Path) -> None:
    """Asked for by digest it must have that digest: 502, and not remembered."""
    async with two_nodes(tmp_path) as scene:
        right = b'{"schemaVersion": 2}'
        digest = scene.origin.add_manifest("latest", right)
        scene.origin.add_manifest(digest, b'{"schemaVersion": 1}')
        url = manifest_url(scene.child, digest)
        assert digest in await refusal(url, status=502)
        scene.origin.add_manifest(digest, right)
        await http.download(url, digest=digest)
