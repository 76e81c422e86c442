"""Arrivals and their readers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from eagle_node.base.digest import digest_of
from eagle_node.base.errors import Unavailable, WrongContent
from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.arrival import Arrival, Phase
from eagle_node.blobs.cache import Cache
from eagle_node.blobs.reader import BlobReader
from eagle_node.blobs.segments import layout_of
from tests.unit.blobs.builders import (
    MIB,
    bring,
    content,
    make_cache,
    read_parts,
    write_segment,
)

SIZE = 5 * MIB + 123
DATA = content(SIZE)
DIGEST = digest_of(DATA)
SEGMENTS = layout_of(SIZE).segments
LAST = SEGMENTS[-1].index


@pytest.fixture
async def cache(tmp_path: Path) -> AsyncIterator[Cache]:
    async with make_cache(tmp_path / "cache") as cache:
        yield cache
        cache.check()


@pytest.fixture
async def arrival(cache: Cache) -> Arrival:
    return await cache.arrive(DIGEST, SIZE)


@pytest.fixture
def reader(cache: Cache, arrival: Arrival) -> BlobReader:
    opened = cache.open(arrival.digest)
    assert opened is not None
    return opened


def reading(reader: BlobReader, start: int = 0, stop: int = SIZE) -> asyncio.Task[list[bytes]]:
    """A client that reads a range."""
    return asyncio.create_task(read_parts(reader, ByteRange(start, stop)))


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_bytes_go_out_in_order_while_segments_come_in_any(
    cache: Cache, arrival: Arrival, reader: BlobReader
) -> None:
    """The client's body is the blob, whatever the order of arrival."""
    client = reading(reader)
    verifier = asyncio.create_task(arrival.verify())
    for index in random.Random(5).sample(range(LAST + 1), LAST + 1):
        await bring(cache, arrival, DATA, [index])
    assert b"".join(await client) == DATA
    await verifier
    assert arrival.phase is Phase.VERIFIED


async def test_bytes_of_an_incomplete_segment_go_out_as_they_come(
    arrival: Arrival, reader: BlobReader
) -> None:
    """The first byte does not wait for the first segment."""
    async with aclosing(reader.slices(ByteRange(0, SIZE))) as slices:
        write_segment(arrival, DATA, 0, count=100)
        arrival.grew(0, 100)
        part = await anext(slices)
        assert (part.offset, part.length) == (0, 100)
        write_segment(arrival, DATA, 0, count=250)
        arrival.grew(0, 250)
        part = await anext(slices)
        assert (part.offset, part.length) == (100, 150)


async def test_the_last_byte_is_held_back_until_the_digest_is_right(
    cache: Cache, arrival: Arrival, reader: BlobReader
) -> None:
    """A body cannot end before the whole has been verified."""
    await bring(cache, arrival, DATA)
    async with aclosing(reader.slices(ByteRange(0, SIZE))) as slices:
        count = 0
        while count < SIZE - 1:
            count += (await anext(slices)).length
        assert count == SIZE - 1
        last = asyncio.ensure_future(anext(slices))
        await settle()
        assert not last.done()
        await arrival.verify()
        assert (await last).length == 1


async def test_a_wrong_body_never_ends_cleanly(cache: Cache) -> None:
    """Readers that have got all but a byte get the error instead of it; so do new ones."""
    arrival = await cache.arrive(digest_of(b"something else"), SIZE)
    reader = cache.open(arrival.digest)
    assert reader is not None
    client, late = reading(reader), reading(reader, SIZE - 10)
    await settle()
    await bring(cache, arrival, DATA)
    await arrival.verify()
    errors = await asyncio.gather(client, late, reading(reader, 0, 10), return_exceptions=True)
    assert {type(error) for error in errors} == {WrongContent}
    assert cache.open(arrival.digest) is None
    reader.close()
    await cache.suspend(arrival)


async def test_a_failure_reaches_readers_after_the_bytes_that_are_here(
    cache: Cache, arrival: Arrival, reader: BlobReader
) -> None:
    """What has arrived is still good to resume from."""
    await bring(cache, arrival, DATA, [0])
    client = reading(reader)
    await settle()
    arrival.fail(Unavailable("the origin went away"))
    with pytest.raises(Unavailable, match="origin went away"):
        await client
    first = SEGMENTS[0].stop
    assert b"".join(await reading(reader, 0, first)) == DATA[:first]


async def test_what_readers_need_next_comes_first(cache: Cache, arrival: Arrival) -> None:
    """Two readers at different places: each one's next two segments precede all the rest."""
    readers = [cache.open(DIGEST) for _ in range(2)]
    deep, early = (
        reading(r, start) for r, start in zip(readers, (SEGMENTS[3].start, 0), strict=True) if r
    )
    await settle()
    assert arrival.urgent() == [3, 4, 0, 1]
    assert arrival.missing() == [3, 4, 0, 1, *range(5, LAST + 1), 2]
    deep.cancel()
    await asyncio.wait([deep])
    assert arrival.missing() == list(range(LAST + 1))
    early.cancel()
    await asyncio.wait([early])


async def test_a_part_that_holds_the_last_byte_is_not_held_back(
    cache: Cache, arrival: Arrival, reader: BlobReader
) -> None:
    """Lazy pullers keep an index at the end of a blob that is never fetched whole."""
    await bring(cache, arrival, DATA, [LAST])
    assert b"".join(await reading(reader, SIZE - 10)) == DATA[-10:]


async def test_who_reads_all_of_it_wants_the_whole(arrival: Arrival, reader: BlobReader) -> None:
    """Also when nobody has said so before: a whole body is verified before it ends."""
    client = reading(reader)
    await settle()
    assert arrival.whole_wanted
    client.cancel()
    await asyncio.wait([client])


async def test_nothing_is_missing_unless_somebody_wants_it(arrival: Arrival) -> None:
    """A range does not bring the rest; asking for the whole does."""
    assert arrival.missing() == []
    arrival.whole_wanted = True
    assert arrival.missing() == list(range(LAST + 1))


async def test_a_cancelled_reader_wants_nothing_any_more(
    cache: Cache, arrival: Arrival, reader: BlobReader
) -> None:
    """Its demand goes at once, its pin when it is closed; others wake to see it."""
    client = reading(reader, 2 * MIB)
    await settle()
    assert arrival.demand
    woken = asyncio.create_task(arrival.changed())
    await settle()
    client.cancel()
    await asyncio.wait([client, woken])
    assert not arrival.demand
    assert arrival.readers == 1
    reader.close()
    reader.close()
    assert arrival.readers == 0


async def test_a_reader_that_stops_reading_wants_nothing_any_more(
    cache: Cache, arrival: Arrival, reader: BlobReader
) -> None:
    """Leaving the loop over the slices is enough."""
    await bring(cache, arrival, DATA, [0])
    async with aclosing(reader.slices(ByteRange(0, SIZE))) as slices:
        await anext(slices)
        assert arrival.demand
    assert not arrival.demand


async def test_demand_shrinks_as_the_reader_proceeds(
    cache: Cache, arrival: Arrival, reader: BlobReader
) -> None:
    """What it has passed is not missing for it."""
    client = reading(reader)
    await settle()
    await bring(cache, arrival, DATA, [0, 1])
    await settle()
    assert arrival.missing() == list(range(2, LAST + 1))
    client.cancel()
    await asyncio.wait([client])


async def test_no_body_is_made_of_two_sources(
    arrival: Arrival, reader: BlobReader, cache: Cache
) -> None:
    """When a half-read segment is written anew, who has read of it is cut off.

    Only the second source's bytes will be verified: the first one's may have been others.
    """
    client = reading(reader)
    write_segment(arrival, bytes(SIZE), 0, count=1000)
    arrival.grew(0, 1000)
    await settle()
    arrival.lost(0)
    await bring(cache, arrival, DATA)
    await arrival.verify()
    assert arrival.phase is Phase.VERIFIED
    with pytest.raises(Unavailable, match="replaced"):
        await client
    assert b"".join(await reading(reader)) == DATA


async def test_a_file_that_is_taken_away_is_an_error_of_ours(
    cache: Cache, arrival: Arrival, reader: BlobReader
) -> None:
    """Readers and the verifier get `Unavailable`."""
    await bring(cache, arrival, DATA)
    arrival.directory.segment(2).unlink()
    with pytest.raises(Unavailable, match="cannot be read"):
        await reading(reader)
    with pytest.raises(Unavailable, match="cannot read back"):
        await arrival.verify()


async def test_only_the_digest_of_nothing_verifies_an_empty_blob(cache: Cache) -> None:
    """Size 0 is a blob like others."""
    empty = await cache.arrive(digest_of(b""), 0)
    await empty.verify()
    assert empty.phase is Phase.VERIFIED
    await cache.commit(empty, b"le")
    wrong = await cache.arrive(DIGEST, 0)
    await wrong.verify()
    assert isinstance(wrong.error, WrongContent)
    await cache.suspend(wrong)


async def test_an_arrival_fails_once(arrival: Arrival) -> None:
    """The first error is the one that counts."""
    arrival.fail(Unavailable("first"))
    arrival.fail(Unavailable("second"))
    assert str(arrival.error) == "first"
    arrival.check()
