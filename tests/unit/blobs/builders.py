"""Caches and blobs for tests: real files, real SQLite."""

from __future__ import annotations

import random
from collections.abc import Iterable
from contextlib import aclosing
from pathlib import Path

from eagle_node.base.digest import Digest, digest_of
from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.arrival import Arrival
from eagle_node.blobs.cache import Cache
from eagle_node.blobs.reader import BlobReader
from eagle_node.config.tree import CacheConfig
from eagle_node.metrics.instruments import Metrics

MIB = 1 << 20


def content(size: int, seed: int = 0) -> bytes:
    """``size`` random bytes, the same for the same ``seed``."""
    return random.Random(seed).randbytes(size)


def make_cache(
    root: Path, *, limit: int = 0, reserve: int = 0, recency_flush_s: float = 5.0
) -> Cache:
    """A cache that has not been entered yet."""
    config = CacheConfig(size=limit, reserve=reserve)
    return Cache(config, root, Metrics(), recency_flush_s=recency_flush_s)


def write_segment(arrival: Arrival, data: bytes, index: int, *, count: int | None = None) -> None:
    """Put (the first ``count`` bytes of) a segment where it belongs, and tell nobody."""
    segment = arrival.layout.segments[index]
    part = data[segment.start : segment.stop][:count]
    arrival.directory.segment(index).write_bytes(part)


async def bring(
    cache: Cache, arrival: Arrival, data: bytes, indices: Iterable[int] | None = None
) -> None:
    """Reserve, write and announce segments; all that are missing by default."""
    wanted = range(len(arrival.layout.segments)) if indices is None else indices
    for index in wanted:
        if index not in arrival.have:
            cache.reserve(arrival, [index])
            write_segment(arrival, data, index)
            await cache.segment_done(arrival, index)


async def ingest(cache: Cache, data: bytes) -> Digest:
    """Take a blob in, verify and commit it."""
    digest = digest_of(data)
    arrival = await cache.arrive(digest, len(data))
    try:
        await bring(cache, arrival, data)
    except BaseException:
        await cache.discard(arrival)
        raise
    await arrival.verify()
    await cache.commit(arrival, b"le")
    return digest


async def read_parts(reader: BlobReader, wanted: ByteRange) -> list[bytes]:
    """What a client gets, slice by slice."""
    parts = []
    async with aclosing(reader.slices(wanted)) as slices:
        async for part in slices:
            part.file.seek(part.offset)
            parts.append(part.file.read(part.length))
            assert len(parts[-1]) == part.length
    return parts


async def read_back(cache: Cache, digest: Digest) -> bytes | None:
    """All bytes of a blob that the cache holds."""
    reader = cache.open(digest)
    if reader is None:
        return None
    try:
        return await reader.read()
    finally:
        reader.close()


def bytes_on_disk(root: Path) -> int:
    """Bytes of all segment files, whole or not."""
    return sum(path.stat().st_size for path in root.glob("??/*/*.????") if path.suffix != ".part")
