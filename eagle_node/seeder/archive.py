"""The seeder's pluggable blob store as a source, and as a place to keep what was verified."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from eagle_node.base.digest import Digest, digest_hex
from eagle_node.base.errors import EagleError, Unavailable
from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.cache import Cache
from eagle_node.blobs.reader import BlobReader
from eagle_node.metrics.instruments import Metrics
from eagle_node.runtime.budget import ByteBudget
from eagle_node.runtime.tasks import TaskSet
from eagle_node.runtime.threads import finish_in_thread
from eagle_node.storage.interface import BlobNotFound, Storage

log = logging.getLogger(__name__)

_READ = 1 << 20


@dataclass(frozen=True, slots=True)
class _StoredStream:
    size: int
    _chunks: AsyncIterator[bytes]
    _metrics: Metrics
    _budget: ByteBudget

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._chunks:
            await self._budget.take(len(chunk))
            self._metrics.storage_bytes.inc(len(chunk))
            yield chunk


class StoredBlob:
    """A blob in the store, as a `ByteSource`."""

    def __init__(
        self, storage: Storage, digest: Digest, size: int, metrics: Metrics, budget: ByteBudget
    ) -> None:
        self._storage = storage
        self._budget = budget
        self._name = object_name(digest)
        self._size = size
        self._metrics = metrics

    @asynccontextmanager
    async def open(self, start: int, stop: int | None) -> AsyncIterator[_StoredStream]:
        """Bytes ``[start, stop)``."""
        chunks = self._storage.download(self._name, start=start, stop=stop)
        yield _StoredStream(self._size, chunks, self._metrics, self._budget)


class Archive:
    """Keeps verified blobs in a store, one at a time, in the background.

    What moves is drawn from ``upload`` and ``download``, the node's own limits.
    """

    def __init__(
        self,
        storage: Storage,
        cache: Cache,
        metrics: Metrics,
        *,
        upload: ByteBudget,
        download: ByteBudget,
    ) -> None:
        self._storage = storage
        self._budgets = (upload, download)
        self._cache = cache
        self._metrics = metrics
        self._tasks = TaskSet()
        self._turn = asyncio.Semaphore(1)

    async def aclose(self) -> None:
        """Stop uploading; what was not uploaded whole is not in the store."""
        await self._tasks.cancel()

    async def find(self, digest: Digest) -> StoredBlob | None:
        """The blob in the store; None when it is not there or the store cannot be reached."""
        try:
            info = await self._storage.stat(object_name(digest))
        except BlobNotFound:
            return None
        except EagleError as error:
            log.warning("the blob store cannot be asked for %s: %s", digest, error)
            return None
        return StoredBlob(self._storage, digest, info.size, self._metrics, self._budgets[1])

    async def forget(self, digest: Digest) -> None:
        """Delete a blob whose stored bytes turned out to be wrong."""
        log.error("the blob store holds wrong bytes for %s; deleting them", digest)
        try:
            await self._storage.delete(object_name(digest))
        except EagleError as error:
            log.warning("cannot delete %s from the blob store: %s", digest, error)

    def keep(self, digest: Digest) -> None:
        """Upload a committed blob, when its turn comes."""
        self._tasks.spawn(self._upload(digest), name=f"archive-{digest[7:19]}")

    async def _has(self, name: str, size: int) -> bool:
        """Whether the store has the object already: the blob may have come from there."""
        try:
            return (await self._storage.stat(name)).size == size
        except BlobNotFound:
            return False

    async def _upload(self, digest: Digest) -> None:
        async with self._turn:
            reader = self._cache.open(digest)
            if reader is None:
                return
            name = object_name(digest)
            try:
                if await self._has(name, reader.size):
                    return
                chunks = _chunks(reader, self._budgets[0])
                await self._storage.upload(name, chunks, size=reader.size)
                torrents = self._cache.directory(digest).torrents
                await self._storage.create_with_metainfo(
                    name, await asyncio.to_thread(torrents.read_bytes)
                )
            except (EagleError, OSError) as error:
                log.warning("cannot keep %s in the blob store: %s", digest, error)
            finally:
                reader.close()


async def _chunks(reader: BlobReader, budget: ByteBudget) -> AsyncIterator[bytes]:
    async with aclosing(reader.slices(ByteRange(0, reader.size))) as slices:
        async for part in slices:
            await finish_in_thread(part.file.seek, part.offset)
            left = part.length
            while left:
                chunk = await finish_in_thread(part.file.read, min(_READ, left))
                if not chunk:
                    raise Unavailable(f"{reader.digest} became shorter while it was read")
                left -= len(chunk)
                await budget.take(len(chunk))
                yield chunk


def object_name(digest: Digest) -> str:
    """Name of a blob in the store: two levels, so that file systems and listings stay quick."""
    name = digest_hex(digest)
    return f"sha256/{name[:2]}/{name}"
