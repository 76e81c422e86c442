"""Parts of segments: what is wanted, where it lies, what becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_node.base.digest import digest_of
from eagle_node.base.errors import NoSpace, Unavailable
from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.arrival import Arrival
from eagle_node.blobs.cache import Cache
from eagle_node.blobs.demand import BLOCK, Demand, demand_for
from eagle_node.blobs.parts import PartWriter
from eagle_node.blobs.reader import BlobReader
from eagle_node.blobs.segments import layout_of
from tests.unit.blobs.builders import MIB, bring, content, make_cache, write_segment

SIZE = 24 * MIB + 123
DATA = content(SIZE)
DIGEST = digest_of(DATA)
SEGMENTS = layout_of(SIZE).segments
BIG = max(SEGMENTS, key=lambda each: each.length)
"""A segment of 32 blocks."""


@pytest.fixture
async def cache(tmp_path: Path) -> AsyncIterator[Cache]:
    async with make_cache(tmp_path / "cache", limit=2 * SIZE) as cache:
        yield cache
        cache.check()


@pytest.fixture
async def arrival(cache: Cache) -> Arrival:
    return await cache.arrive(DIGEST, SIZE)


async def write(cache: Cache, arrival: Arrival, start: int, stop: int) -> None:
    """Bring a part, in two writes."""
    half = (start + stop) // 2
    with PartWriter(cache, arrival, ByteRange(start, stop)) as writer:
        await writer.write(DATA[start:half])
        await writer.write(DATA[half:stop])


def reading(cache: Cache, start: int, stop: int) -> asyncio.Task[bytes]:
    """A client that reads a range."""

    async def read() -> bytes:
        reader = cache.open(DIGEST)
        assert isinstance(reader, BlobReader)
        try:
            return await reader.read(ByteRange(start, stop))
        finally:
            reader.close()

    return asyncio.create_task(read())


async def demanded(arrival: Arrival) -> None:
    """Wait until a reader has said what it wants."""
    while not arrival.demand:
        await arrival.changed()


@given(st.integers(0, SIZE - 1), st.integers(1, SIZE), st.integers(0, SIZE))
def test_parts_and_segments_together_are_what_is_wanted(start: int, length: int, come: int) -> None:
    """Whatever is asked for: no byte of it is in neither, and parts are few blocks more."""
    wanted = ByteRange(start, min(SIZE, start + length))
    demand = Demand(wanted, min(wanted.stop, wanted.start + come))
    for segment in layout_of(SIZE).covering(demand.left.start, demand.left.stop):
        needed = ByteRange(
            max(segment.start, demand.left.start), min(segment.stop, demand.left.stop)
        )
        blocks = demand.blocks(segment)
        assert segment.start <= blocks.start <= needed.start
        assert needed.stop <= blocks.stop <= segment.stop
        assert blocks.length < needed.length + 2 * BLOCK
        assert demand.is_part(segment) == demand_for(wanted).is_part(segment)
        if needed.length == segment.length:
            assert not demand.is_part(segment)


async def test_a_small_range_wants_blocks_and_no_segment(cache: Cache, arrival: Arrival) -> None:
    """Half of a segment or more wants all of it; another reader's part of it comes with it."""
    small = reading(cache, BIG.start + BLOCK + 5, BIG.start + BLOCK + 6)
    await demanded(arrival)
    assert arrival.missing() == []
    assert arrival.missing_parts() == [ByteRange(BIG.start + BLOCK, BIG.start + 2 * BLOCK)]
    large = reading(cache, BIG.start, BIG.start + BIG.length // 2)
    while len(arrival.demand) < 2:
        await arrival.changed()
    assert (arrival.missing(), arrival.missing_parts()) == ([BIG.index], [])
    large.cancel()
    await asyncio.wait([large])
    assert arrival.missing_parts()
    small.cancel()
    await asyncio.wait([small])
    assert not arrival.wants_more()


async def test_a_part_is_read_where_its_segment_is_not(cache: Cache, arrival: Arrival) -> None:
    """Across the border of two segments as well; what is here is not wanted again."""
    start, stop = BIG.start - 3 * BLOCK, BIG.start + 2 * BLOCK
    client = reading(cache, start + 1, stop - 1)
    await demanded(arrival)
    for run in arrival.missing_parts():
        await write(cache, arrival, run.start, run.stop)
    assert await client == DATA[start + 1 : stop - 1]
    assert not arrival.have
    assert await reading(cache, start, stop) == DATA[start:stop]


async def test_a_reader_goes_from_a_part_to_the_segment_that_replaces_it(
    cache: Cache, arrival: Arrival
) -> None:
    """The part's file is gone then, and its bytes are counted once."""
    client = reading(cache, BIG.start, BIG.start + 4 * BLOCK)
    await demanded(arrival)
    await write(cache, arrival, BIG.start, BIG.start + BLOCK)
    assert cache.used == BLOCK
    await bring(cache, arrival, DATA, [BIG.index])
    assert await client == DATA[BIG.start : BIG.start + 4 * BLOCK]
    assert cache.used == BIG.length
    assert not arrival.directory.part(BIG.index).exists()


async def test_a_part_beside_a_segment_that_is_being_written(
    cache: Cache, arrival: Arrival
) -> None:
    """Each byte is read from where it is."""
    cache.reserve(arrival, [BIG.index])
    write_segment(arrival, DATA, BIG.index, count=100)
    arrival.grew(BIG.index, 100)
    await write(cache, arrival, BIG.start, BIG.start + 2 * BLOCK)
    assert await reading(cache, BIG.start, BIG.start + 2 * BLOCK) == DATA[BIG.start :][: 2 * BLOCK]


async def test_parts_that_cover_a_segment_are_the_segment(cache: Cache, arrival: Arrival) -> None:
    """In whatever order they came; not while somebody writes it."""
    middle = BIG.start + BIG.length // 2
    await write(cache, arrival, middle, BIG.stop)
    assert not arrival.parts_complete(BIG.index)
    await write(cache, arrival, BIG.start, middle)
    arrival.writing.add(BIG.index)
    assert not arrival.parts_complete(BIG.index)
    arrival.writing.remove(BIG.index)
    assert arrival.parts_complete(BIG.index)
    cache.promote(arrival, BIG.index)
    assert await reading(cache, BIG.start, BIG.stop) == DATA[BIG.start : BIG.stop]
    await cache.segment_done(arrival, BIG.index)
    assert arrival.directory.segment(BIG.index).read_bytes() == DATA[BIG.start : BIG.stop]
    assert cache.used == BIG.length
    arrival.check()


async def test_parts_survive_a_pause_and_not_a_restart(tmp_path: Path) -> None:
    """Nothing has verified them: only the process that fetched them knows what they are."""
    async with make_cache(tmp_path / "cache") as cache:
        arrival = await cache.arrive(DIGEST, SIZE)
        await bring(cache, arrival, DATA, [0])
        await write(cache, arrival, BIG.start, BIG.start + BLOCK)
        arrival.fail(Unavailable("a pause"))
        await cache.suspend(arrival)
        arrival = await cache.arrive(DIGEST, SIZE)
        assert cache.used == SEGMENTS[0].length + BLOCK
        assert await reading(cache, BIG.start, BIG.start + 9) == DATA[BIG.start :][:9]
    async with make_cache(tmp_path / "cache") as cache:
        arrival = await cache.arrive(DIGEST, SIZE)
        assert (arrival.have, list(arrival.parts)) == ({0}, [])
        assert not arrival.directory.part(BIG.index).exists()


async def test_parts_alone_survive_a_pause(cache: Cache, arrival: Arrival) -> None:
    """Until room is needed; the whole is fetched as if there were none."""
    await write(cache, arrival, BIG.start, BIG.start + BLOCK)
    arrival.fail(Unavailable("a pause"))
    await cache.suspend(arrival)
    assert cache.resumable(DIGEST) is None
    part = arrival.directory.part(BIG.index)
    assert part.exists()
    other = content(2 * SIZE, 1)
    await bring(cache, await cache.arrive(digest_of(other), len(other)), other)
    assert not part.exists()


async def test_parts_count_against_the_limit(tmp_path: Path) -> None:
    """Not the segments that they are of: a lazy puller touches many."""
    async with make_cache(tmp_path / "cache", limit=MIB // 2) as cache:
        arrival = await cache.arrive(DIGEST, SIZE)
        for segment in SEGMENTS[::2]:
            await write(cache, arrival, segment.start, segment.start + BLOCK)
        assert cache.used == BLOCK * len(SEGMENTS[::2])
        with pytest.raises(NoSpace, match="--cache-size"):
            await write(cache, arrival, BIG.start, BIG.stop)
        cache.check()


async def test_a_part_that_nobody_waits_for_any_more_is_left(
    cache: Cache, arrival: Arrival
) -> None:
    """But for its last block: that one costs less than a new connection."""
    stop = BIG.start + 8 * BLOCK
    client = reading(cache, BIG.start, stop)
    await demanded(arrival)
    wanted = []
    with PartWriter(cache, arrival, ByteRange(BIG.start, stop)) as writer:
        await writer.write(DATA[BIG.start : BIG.start + BLOCK])
        wanted.append(writer.wanted)
        client.cancel()
        await asyncio.wait([client])
        wanted.append(writer.wanted)
        await writer.write(DATA[BIG.start + BLOCK : stop - BLOCK])
        wanted.append(writer.wanted)
        await writer.write(DATA[stop - BLOCK : stop + 100])
        wanted.append(writer.wanted)
    assert wanted == [True, False, True, False]
    assert list(arrival.parts) == [ByteRange(BIG.start, stop)]


async def test_who_wants_the_whole_wants_no_parts(cache: Cache, arrival: Arrival) -> None:
    """Nor does anybody, of a source that cannot send any."""
    client = reading(cache, BIG.start, BIG.start + 1)
    await demanded(arrival)
    arrival.takes_parts = False
    assert (arrival.missing(), arrival.missing_parts()) == ([BIG.index], [])
    arrival.takes_parts = True
    arrival.want_whole()
    assert arrival.missing_parts() == []
    assert arrival.missing()[0] == BIG.index
    client.cancel()
    await asyncio.wait([client])
