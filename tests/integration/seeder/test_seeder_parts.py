"""A peer that wants parts of a blob, a real seeder, and a real registry that counts its bytes."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eagle_node.base.digest import digest_of
from eagle_node.base.ids import NodeId
from eagle_node.blobs.segments import LAYOUT_VERSION, layout_of
from eagle_node.metainfo.client import MetaInfoClient
from eagle_node.metainfo.messages import (
    FetchReply,
    FetchRequest,
    LayoutEvent,
    PrefetchBlob,
    PrefetchRequest,
    SegmentEvent,
)
from eagle_node.runtime.sockets import parse_address
from tests.support import http
from tests.support.node import Node, eagle_node
from tests.support.origin import NAME
from tests.support.pulls import REPOSITORY, blob_url, pull_blob
from tests.support.registry import Registry, docker_registry
from tests.support.upload import upload_blob
from tests.support.waiting import until
from tests.unit.blobs.builders import MIB, content

SIZE = 40 * MIB + 9
DATA = content(SIZE)
DIGEST = digest_of(DATA)
SEGMENTS = layout_of(SIZE).segments
PROBE = 1
"""Bytes that the seeder asks for to learn the size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A registry with one blob, a seeder, and a peer's side of the wire."""

    registry: Registry
    node: Node
    client: MetaInfoClient

    def fetch(self, **fields: Any) -> AsyncGenerator[FetchReply, None]:
        """The stream of one call."""
        request: dict[str, Any] = {
            "registry": NAME,
            "repository": REPOSITORY,
            "digest": DIGEST,
            "node_id": NodeId("0" * 32),
            "layout_version": LAYOUT_VERSION,
        }
        return self.client.fetch(FetchRequest(**(request | fields)))

    async def sent(self) -> int:
        """Bytes of the blob that the registry has sent."""
        return (await self.registry.blob_bytes()).get(DIGEST, 0)

    async def has_sent(self, expected: int) -> bool:
        """Whether these are the bytes that it has sent; it writes them down after it has."""

        async def written_down() -> bool:
            return await self.sent() >= expected

        await until(written_down, what="the registry to write down what it has sent")
        return await self.sent() == expected


@asynccontextmanager
async def ground(directory: Path) -> AsyncIterator[Ground]:
    """All of it, running."""
    async with docker_registry(directory / "registry") as registry:
        await upload_blob(registry, REPOSITORY, DATA)
        at = ("--registry", f"{NAME}={registry.url}")
        async with (
            eagle_node(directory / "a", *at) as node,
            MetaInfoClient(lambda: [parse_address(node.metainfo)]) as client,
        ):
            yield Ground(registry=registry, node=node, client=client)


async def _until_told(replies: AsyncIterator[FetchReply], *wanted: int) -> None:
    """Read a stream until it has named these segments, and no others."""
    left = set(wanted)
    async with asyncio.timeout(60):
        while left:
            reply = await anext(replies)
            if isinstance(reply, SegmentEvent):
                left.remove(reply.index)


async def test_the_origin_sends_only_the_segments_that_are_asked_for(tmp_path: Path) -> None:
    """None at first, then a few, then more; those that are here do not come again."""
    async with ground(tmp_path) as here:
        async with aclosing(here.fetch(only_first=True)) as replies:
            layout = await anext(replies)
            assert isinstance(layout, LayoutEvent)
            assert layout.size == SIZE
            assert await here.has_sent(PROBE)
        async with aclosing(here.fetch(only_first=True, first=(20,))) as replies:
            await _until_told(replies, 20)
        expected = PROBE + SEGMENTS[20].length
        assert await here.has_sent(expected)
        wanted = (2, 3, 20, 30)
        async with aclosing(here.fetch(only_first=True, first=wanted)) as replies:
            await _until_told(replies, *wanted)
        expected += sum(SEGMENTS[index].length for index in (2, 3, 30))
        assert await here.has_sent(expected)


async def test_parts_and_then_the_whole_are_each_byte_once(tmp_path: Path) -> None:
    """The whole is verified, parts included, and served from the cache."""
    async with ground(tmp_path) as here:
        async with aclosing(here.fetch(only_first=True, first=(7, 8))) as replies:
            await _until_told(replies, 7, 8)
        told = [each async for each in here.fetch()]
        indices = sorted(each.index for each in told if isinstance(each, SegmentEvent))
        assert indices == list(range(len(SEGMENTS)))
        assert await here.has_sent(PROBE + SIZE)
        await pull_blob(here.node, DIGEST)
        assert await here.has_sent(PROBE + SIZE)


async def test_peers_of_the_same_part_cost_one_request(tmp_path: Path) -> None:
    """However many; after the first the origin is only asked whether they may read."""
    async with ground(tmp_path) as here:

        async def read() -> None:
            async with aclosing(here.fetch(only_first=True, first=(5,))) as replies:
                await _until_told(replies, 5)

        await asyncio.gather(*(read() for _ in range(12)))
        assert await here.has_sent(PROBE + SEGMENTS[5].length)
        assert (await here.registry.blob_requests())[DIGEST] == 2
        heads = [each for each in await here.registry.accesses() if each.method == "HEAD"]
        assert len(heads) <= 1


async def test_a_notice_brings_the_blob_and_serves_nobody_who_may_not_read(tmp_path: Path) -> None:
    """It is told over the wire as peers tell it; repeated, it moves nothing."""
    async with ground(tmp_path) as here:
        request = PrefetchRequest(
            registry=NAME,
            repository=REPOSITORY,
            blobs=(PrefetchBlob(digest=DIGEST, size=SIZE),),
            node_id=NodeId("0" * 32),
        )
        seeder = parse_address(here.node.metainfo)
        await asyncio.gather(*(here.client.prefetch(seeder, request) for _ in range(8)))

        async def is_cached() -> bool:
            cache: dict[str, int] = (await here.node.status())["cache"]
            return cache["blobs"] == 1

        await until(is_cached, what="the blob to be in the cache")
        await here.client.prefetch(seeder, request)
        url = blob_url(here.node, DIGEST, repository="team/other")
        async with http.client() as session, session.get(url) as answer:
            assert answer.status == 404
        part = await http.download(
            blob_url(here.node, DIGEST), headers={"Range": "bytes=5-104"}, status=206
        )
        assert part.sha256 == hashlib.sha256(DATA[5:105]).hexdigest()
        assert await here.registry.blob_requests() == {DIGEST: 1}
        assert await here.has_sent(SIZE)
