"""The blob store behind the cache: kept there once verified, found there again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from eagle_node.base.digest import digest_of
from eagle_node.base.errors import Denied, NoSpace, Unavailable, WrongContent
from eagle_node.blobs.segments import layout_of
from eagle_node.config.tree import SeederConfig
from eagle_node.metrics.instruments import total
from eagle_node.registry.access import Access, AccessMemory
from eagle_node.registry.names import BlobRef, Repository
from eagle_node.registry.upstream import Upstream
from eagle_node.runtime.budget import ByteBudget
from eagle_node.seeder.archive import Archive, object_name
from eagle_node.seeder.origins import Origins
from eagle_node.storage.interface import ObjectInfo
from eagle_node.storage.memory import MemoryStorage
from eagle_node.swarm.torrents import unpack_torrents
from eagle_node.swarm.transfer import Transfer
from tests.integration.registry.origin import NAME, Origin, at, serving, upstream
from tests.integration.swarm.rig import Rig, read_whole, rig
from tests.unit.blobs.builders import MIB, content, ingest

DATA = content(3 * MIB + 7)
BLOB = BlobRef(Repository(NAME, "team/app"), digest_of(DATA))
LAYOUT = layout_of(len(DATA))
OBJECT = object_name(BLOB.digest)


class Store(MemoryStorage):
    """The in-memory store, with the faults that real ones have."""

    def __init__(self) -> None:
        super().__init__()
        self.down = False
        self.break_at: int | None = None
        self.uploads = 0
        self.kept = asyncio.Event()
        self.deleted = asyncio.Event()

    async def stat(self, name: str) -> ObjectInfo:
        if self.down:
            raise Unavailable("the store is down")
        return await super().stat(name)

    async def download(
        self, name: str, *, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        count = start
        async for chunk in super().download(name, start=start, stop=stop):
            if self.break_at is not None and count + len(chunk) > self.break_at:
                yield chunk[: self.break_at - count]
                raise Unavailable("the store broke off")
            count += len(chunk)
            yield chunk

    async def upload(self, name: str, chunks: AsyncIterator[bytes], *, size: int) -> None:
        self.uploads += 1
        await super().upload(name, chunks, size=size)

    async def create_with_metainfo(self, name: str, metainfo: bytes) -> None:
        await super().create_with_metainfo(name, metainfo)
        self.kept.set()

    async def delete(self, name: str) -> None:
        await super().delete(name)
        self.deleted.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeder:
    """A rig with a store, in front of a real HTTP origin."""

    node: Rig
    store: Store
    archive: Archive
    origins: Origins
    origin: Origin
    upstream: Upstream

    async def start(self, authorization: str | None = "Basic right") -> Transfer:
        """Fetch the blob."""
        source = self.origins.source(BLOB, authorization)
        transfer = await self.node.transfers.start(BLOB.digest, source, whole=True)
        assert transfer is not None
        return transfer

    def fetched(self) -> list[str]:
        """The ranges of the GETs that the origin has seen."""
        seen = [each for each in self.origin.seen if each.method == "GET"]
        return [each.headers.get("Range", "") for each in seen]


async def registry(request: web.Request) -> web.StreamResponse:
    """The blob with ranges, for the right credentials."""
    if request.headers.get("Authorization") != "Basic right":
        return web.Response(status=403)
    wanted = request.http_range
    if wanted.start is None and wanted.stop is None:
        return web.Response(body=DATA)
    part, first = DATA[wanted], wanted.start or 0
    headers = {"Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(DATA)}"}
    return web.Response(status=206, body=part, headers=headers)


@asynccontextmanager
async def seeding(root: Path, store: Store, *, limit: int = 0) -> AsyncIterator[Seeder]:
    """A running seeder."""
    async with AsyncExitStack() as stack:
        origin = await stack.enter_async_context(serving(registry))
        client = await stack.enter_async_context(upstream(at(origin)))
        node = await stack.enter_async_context(rig(root, limit=limit))
        archive = Archive(
            store, node.cache, node.metrics, upload=ByteBudget(0), download=ByteBudget(0)
        )
        stack.push_async_callback(archive.aclose)
        node.cache.on_commit.append(archive.keep)
        access = Access(client, AccessMemory(0.0, 0.0, 0.0))
        origins = Origins(client, access, SeederConfig(), archive)
        stack.push_async_callback(origins.aclose)
        yield Seeder(
            node=node, store=store, archive=archive, origins=origins, origin=origin, upstream=client
        )


@pytest.fixture
def store() -> Store:
    return Store()


async def stored(store: Store) -> bytes:
    return b"".join([chunk async for chunk in store.download(OBJECT)])


async def put(store: Store, data: bytes) -> None:
    """Store bytes under the blob's name."""

    async def chunks() -> AsyncIterator[bytes]:
        yield data

    await store.upload(OBJECT, chunks(), size=len(data))
    store.uploads = 0


async def test_a_verified_blob_is_kept_with_its_metainfo(tmp_path: Path, store: Store) -> None:
    """In the background, once it is committed."""
    async with seeding(tmp_path, store) as seeder:
        assert await read_whole(seeder.node, await seeder.start()) == DATA
        await store.kept.wait()
        assert await stored(store) == DATA
        assert len(unpack_torrents(await store.metainfo(OBJECT))) == len(LAYOUT.segments)


async def test_a_blob_that_is_in_the_store_is_not_fetched_again(
    tmp_path: Path, store: Store
) -> None:
    """The origin is asked whether this client may read it, and for no byte; nothing is uploaded."""
    await put(store, DATA)
    async with seeding(tmp_path, store) as seeder:
        assert await read_whole(seeder.node, await seeder.start()) == DATA
        assert seeder.fetched() == []
        assert [each.method for each in seeder.origin.seen] == ["HEAD"]
        assert total(seeder.node.metrics.storage_bytes) == len(DATA)
        assert total(seeder.node.metrics.origin_bytes) == 0
    assert store.uploads == 0


async def test_what_comes_from_the_store_rests_on_the_origins_word(
    tmp_path: Path, store: Store
) -> None:
    """On an old one while the origin is down: the store does not make it newer."""
    await put(store, DATA)
    now = 1000.0
    async with seeding(tmp_path, store) as seeder:
        memory = AccessMemory(300.0, 0.0, 3600.0, lambda: now)
        access = Access(seeder.upstream, memory)
        origins = Origins(seeder.upstream, access, SeederConfig(), seeder.archive)
        access.remember_yes(BLOB, "Basic right", age_s=299.0)
        transfer = await seeder.node.transfers.start(
            BLOB.digest, origins.source(BLOB, "Basic right"), whole=True
        )
        assert transfer is not None
        await transfer.wait_finished()
        assert 299 <= transfer.word_age_s < 360


async def test_the_store_gives_nothing_to_whom_the_origin_refuses(
    tmp_path: Path, store: Store
) -> None:
    """A stored private blob is as private as before."""
    await put(store, DATA)
    async with seeding(tmp_path, store) as seeder:
        transfer = await seeder.start("Basic wrong")
        with pytest.raises(Denied):
            await transfer.wait_opened()


async def test_wrong_stored_bytes_are_deleted(tmp_path: Path, store: Store) -> None:
    """They reach nobody; the next fetch goes to the origin and heals the store."""
    await put(store, bytes(len(DATA)))
    async with seeding(tmp_path, store) as seeder:
        with pytest.raises(WrongContent):
            await read_whole(seeder.node, await seeder.start())
        await store.deleted.wait()
        assert await seeder.archive.find(BLOB.digest) is None
        assert await read_whole(seeder.node, await seeder.start()) == DATA
        assert seeder.fetched() == [""]
        await store.kept.wait()
    assert await stored(store) == DATA


async def test_a_store_that_is_down_costs_nothing_but_a_warning(
    tmp_path: Path, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """Blobs come from the origin meanwhile."""
    await put(store, DATA)
    store.down = True
    async with seeding(tmp_path, store) as seeder:
        assert await read_whole(seeder.node, await seeder.start()) == DATA
        assert seeder.fetched() == [""]
    assert "the store is down" in caplog.text


@pytest.mark.parametrize("after", [MIB, 2 * MIB + 55])
async def test_a_store_that_breaks_off_is_continued_by_the_origin(
    tmp_path: Path, store: Store, after: int
) -> None:
    """From the first segment that is not whole."""
    await put(store, DATA)
    store.break_at = after
    async with seeding(tmp_path, store) as seeder:
        transfer = await seeder.start()
        await transfer.wait_finished()
        whole = LAYOUT.at(after).start
        assert seeder.fetched() == [f"bytes={whole}-{len(DATA) - 1}"]
        assert BLOB.digest in seeder.node.cache


async def test_an_object_that_vanishes_is_fetched_from_the_origin(
    tmp_path: Path, store: Store
) -> None:
    """Between being found and being read."""

    class Vanishing(Store):
        async def stat(self, name: str) -> ObjectInfo:
            return ObjectInfo(name=name, size=len(DATA))

    async with seeding(tmp_path, Vanishing()) as seeder:
        assert await read_whole(seeder.node, await seeder.start()) == DATA


async def test_no_room_is_not_looked_for_at_the_origin(tmp_path: Path, store: Store) -> None:
    """The next source would find none either."""
    await put(store, DATA)
    async with seeding(tmp_path, store, limit=MIB) as seeder:
        transfer = await seeder.start()
        with pytest.raises(NoSpace):
            await transfer.wait_finished()
        assert seeder.fetched() == []


async def test_a_blob_that_is_evicted_before_its_turn_is_not_kept(
    tmp_path: Path, store: Store
) -> None:
    """There is nothing to upload any more."""
    async with seeding(tmp_path, store) as seeder:
        digest = await ingest(seeder.node.cache, DATA)
        await seeder.node.cache.drop(digest)
        await asyncio.sleep(0.05)
        assert store.uploads == 0
