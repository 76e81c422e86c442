"""Readers that jump around in a blob, against a real registry."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from eagle_node.base.digest import Digest
from eagle_node.blobs.demand import BLOCK
from tests.integration.lazy.reader import SeekableBlob, jump_around
from tests.support import http
from tests.support.node import Node, eagle_node
from tests.support.origin import NAME, Behaviour, scripted_origin
from tests.support.pulls import REPOSITORY, blob_url, pull_blob, refusal, traffic
from tests.support.registry import Registry, docker_registry
from tests.support.upload import upload_blob
from tests.support.waiting import until

MIB = 1 << 20
READERS = 4


def blob_of(size: int) -> bytes:
    """Random bytes; more of them than one call of the generator can make."""
    generator, step = random.Random(7), 16 * MIB
    return b"".join(generator.randbytes(min(step, size - at)) for at in range(0, size, step))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A registry with one blob, a seeder, and a peer of it."""

    registry: Registry
    seeder: Node
    peer: Node
    digest: Digest
    content: bytes

    async def read(self, node: Node, *, seed: int, reads: int) -> int:
        """Several readers at once; the bytes that they have asked for."""
        async with http.client() as session:
            blob = SeekableBlob(
                session=session, url=blob_url(node, self.digest), size=len(self.content)
            )
            asked = await asyncio.gather(
                *(
                    jump_around(blob, self.content, seed=seed * READERS + n, reads=reads)
                    for n in range(READERS)
                )
            )
        return sum(asked)

    async def sent(self) -> int:
        """Bytes of the blob that the registry has sent."""
        return (await self.registry.blob_bytes()).get(self.digest, 0)


@asynccontextmanager
async def ground(directory: Path, size: int) -> AsyncIterator[Ground]:
    """All of it, running."""
    content = blob_of(size)
    async with docker_registry(directory / "registry") as registry:
        digest = await upload_blob(registry, REPOSITORY, content)
        at = ("--registry", f"{NAME}={registry.url}")
        async with (
            eagle_node(directory / "a", *at) as seeder,
            eagle_node(directory / "b", *at, *seeder.pins) as peer,
        ):
            yield Ground(
                registry=registry, seeder=seeder, peer=peer, digest=digest, content=content
            )


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("size", "reads"),
    [(64 * MIB + 4321, 25), pytest.param(1024 * MIB, 250, marks=pytest.mark.slow)],
    ids=["64 MiB", "1 GiB"],
)
async def test_right_bytes_at_every_offset(tmp_path: Path, size: int, reads: int) -> None:
    """Cold, while others pull the whole, and from the cache: at a peer and at its seeder."""
    async with ground(tmp_path, size) as here:
        await here.read(here.peer, seed=1, reads=reads)
        await asyncio.gather(
            here.read(here.peer, seed=2, reads=reads),
            here.read(here.seeder, seed=3, reads=reads),
            pull_blob(here.peer, here.digest),
        )
        await here.read(here.peer, seed=4, reads=reads)
        assert (await traffic(here.peer))["origin_bytes"] == 0
        before = await here.sent()
        await pull_blob(here.seeder, here.digest)
        await here.read(here.seeder, seed=5, reads=reads)
        assert await here.sent() == before
        assert "Traceback" not in here.peer.log() + here.seeder.log()


async def test_hardly_more_moves_than_is_asked_for(tmp_path: Path) -> None:
    """From the registry once, for all nodes; of each range at most two blocks more."""
    async with ground(tmp_path, 64 * MIB) as here:
        places = random.Random(3).sample(range(0, 63 * MIB, 300_000), 20)
        expected = 0
        async with http.client() as session:
            for node in (here.peer, here.seeder):
                blob = SeekableBlob(
                    session=session, url=blob_url(node, here.digest), size=len(here.content)
                )
                for start in places:
                    stop = start + 100_000
                    assert await blob.span(start, stop) == here.content[start:stop]
        expected = len(places) * (100_000 + 2 * BLOCK) + 1
        assert await here.sent() <= expected
        assert (await traffic(here.peer))["peer_download_bytes"] <= expected


@pytest.mark.parametrize("through", ["peer", "seeder"])
async def test_parallel_chunks_make_up_the_layer(tmp_path: Path, through: str) -> None:
    """As containerd fetches with ``concurrent_layer_fetch_buffer``: every byte comes about once."""
    size, chunk = 40 * MIB + 17, 4 * MIB
    async with ground(tmp_path, size) as here:
        node: Node = getattr(here, through)
        async with http.client() as session:
            blob = SeekableBlob(session=session, url=blob_url(node, here.digest), size=size)
            turn = asyncio.Semaphore(3)

            async def fetch(start: int) -> bytes:
                async with turn:
                    return await blob.chunk(start, min(size, start + chunk))

            chunks = await asyncio.gather(*(fetch(start) for start in range(0, size, chunk)))
        assert b"".join(chunks) == here.content
        assert await here.sent() <= size * 1.6


async def test_who_wants_segments_does_not_wait_for_parts(tmp_path: Path) -> None:
    """A part whose source stands still holds up nobody who reads more than that."""
    async with scripted_origin() as origin, http.client() as session:
        digest = origin.add_random(24 * MIB)
        async with (
            eagle_node(tmp_path / "a", *origin.flags) as seeder,
            eagle_node(tmp_path / "b", *origin.flags, *seeder.pins) as peer,
        ):
            blob = SeekableBlob(session=session, url=blob_url(peer, digest), size=24 * MIB)
            await blob.span(5 * MIB, 5 * MIB + 100)
            before = len(origin.gets(digest))
            origin.script(digest, Behaviour(stall=0))
            part = asyncio.create_task(blob.span(9 * MIB, 9 * MIB + 100))

            async def asked() -> bool:
                return len(origin.gets(digest)) > before

            await until(asked, what="the part to be asked for")
            await blob.chunk(14 * MIB, 20 * MIB)
            assert not part.done()
            part.cancel()


async def test_a_seeder_that_goes_away_is_done_without(tmp_path: Path) -> None:
    """The next range comes from the registry, the same bytes."""
    async with ground(tmp_path, 24 * MIB) as here, http.client() as session:
        blob = SeekableBlob(
            session=session, url=blob_url(here.peer, here.digest), size=len(here.content)
        )
        assert await blob.span(5 * MIB, 5 * MIB + 100) == here.content[5 * MIB :][:100]
        await here.seeder.kill()
        assert await blob.span(9 * MIB, 9 * MIB + 100) == here.content[9 * MIB :][:100]
        assert (await traffic(here.peer))["origin_bytes"] <= MIB


async def test_parts_of_wrong_bytes_are_nobodys_blob(tmp_path: Path) -> None:
    """A range cannot be verified, so it is the registry's word; the whole is, parts included."""
    async with scripted_origin() as origin:
        digest = origin.add_random(16 * MIB)
        origin.always(digest, Behaviour(wrong=True))
        async with (
            eagle_node(tmp_path / "a", *origin.flags) as seeder,
            eagle_node(tmp_path / "b", *origin.flags, *seeder.pins) as peer,
        ):
            wanted = {"Range": f"bytes={5 * MIB}-{5 * MIB + 99}"}
            await http.download(blob_url(peer, digest), headers=wanted, status=206)
            for node in (seeder, peer):
                status = await node.status()
                assert status["cache"]["blobs"] == 0
            origin.always(digest, Behaviour())

            async def is_right() -> bool:
                try:
                    await pull_blob(peer, digest)
                except (AssertionError, aiohttp.ClientError):
                    return False
                return True

            await until(is_right, what="the whole to come right")


async def test_a_range_of_another_repository_is_refused(tmp_path: Path) -> None:
    """Parts are read with the same rights as the whole, at a node that has them already."""
    async with ground(tmp_path, 8 * MIB) as here:
        wanted = {"Range": "bytes=100-199"}
        await http.download(blob_url(here.peer, here.digest), headers=wanted, status=206)
        for node in (here.peer, here.seeder):
            url = blob_url(node, here.digest, repository="team/other")
            await refusal(url, status=404, headers=wanted)
