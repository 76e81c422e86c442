"""Filling a transfer in order: lanes, resumption, ranges; real files, bytes from memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from eagle_node.base.digest import digest_of
from eagle_node.base.errors import Denied, NoSpace, Unavailable, WrongContent
from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.demand import BLOCK
from eagle_node.config.tree import SeederConfig
from eagle_node.seeder.origin import InOrderFill
from eagle_node.swarm.transfer import Transfer
from tests.integration.seeder.byte_source import MemorySource
from tests.integration.swarm.rig import Rig, read_range, read_whole, rig
from tests.unit.blobs.builders import MIB, bytes_on_disk, content, read_back

SIZE = 40 * MIB + 9
DATA = content(SIZE)
DIGEST = digest_of(DATA)
SMALL = DATA[: 3 * MIB]
CONFIG = SeederConfig(origin_retries=2)
BROKEN = Unavailable("the connection broke")


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path / "cache", linger_s=0.2) as running:
        yield running


async def begin(node: Rig, source: MemorySource, *, whole: bool = True) -> Transfer:
    fill = InOrderFill(source, CONFIG)
    transfer = await node.transfers.start(digest_of(source.data), fill, whole=whole)
    assert transfer is not None
    return transfer


def sent(count: int) -> Callable[[MemorySource], bool]:
    """Whether so many bytes have left the source."""
    return lambda source: source.sent >= count


async def test_a_whole_blob_takes_one_connection(node: Rig) -> None:
    """Without a Range header, and each byte once."""
    source = MemorySource(DATA)
    assert await read_whole(node, await begin(node, source)) == DATA
    assert source.opened == [(0, None)]
    assert source.sent == SIZE
    assert source.live == 0


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1])
async def test_sizes_around_the_borders_of_segments(node: Rig, size: int) -> None:
    """An empty blob is one connection as well."""
    source = MemorySource(DATA[:size])
    transfer = await begin(node, source)
    await transfer.wait_finished()
    assert await read_back(node.cache, digest_of(source.data)) == source.data
    assert source.opened == [(0, None)]


@pytest.mark.parametrize("error", [BROKEN, None])
async def test_a_break_is_resumed_at_the_exact_byte(node: Rig, error: Unavailable | None) -> None:
    """In the middle of a segment or at its border; whether it is an error or just an end."""
    source = MemorySource(SMALL)
    source.break_with = error
    source.break_at = lambda number: {0: 777_777, 1: MIB - 777_777}.get(number)
    assert await read_whole(node, await begin(node, source)) == SMALL
    assert source.opened == [(0, None), (777_777, 3 * MIB), (MIB, 3 * MIB)]
    assert source.sent == len(SMALL)


async def test_a_reader_gets_bytes_while_the_connection_hangs(node: Rig) -> None:
    """What has come goes out; the rest follows."""
    source = MemorySource(SMALL)
    source.hold_at = 256 << 10
    source.may_send.clear()
    transfer = await begin(node, source)
    await transfer.wait_opened()
    assert await read_range(node, transfer.digest, 0, 256 << 10) == SMALL[: 256 << 10]
    source.may_send.set()
    assert await read_whole(node, transfer) == SMALL


async def test_a_source_without_progress_is_given_up(node: Rig) -> None:
    """After as many fruitless resumptions as are configured; progress starts the count anew."""
    source = MemorySource(SMALL)
    source.break_with = BROKEN
    source.break_at = lambda number: 100_000 if number < 4 else 0
    transfer = await begin(node, source)
    with pytest.raises(Unavailable, match="the connection broke"):
        await transfer.wait_finished()
    assert len(source.opened) == 4 + CONFIG.origin_retries


async def test_a_source_that_never_answers_is_given_up_sooner(node: Rig) -> None:
    """Nothing is begun yet: there may be others."""
    source = MemorySource(SMALL)
    source.refuse = lambda number: BROKEN
    transfer = await begin(node, source)
    with pytest.raises(Unavailable, match="the connection broke"):
        await transfer.wait_opened()
    assert len(source.opened) == 2


async def test_a_refusal_is_not_tried_again(node: Rig) -> None:
    """The origin's no is a no."""
    source = MemorySource(SMALL)
    source.refuse = lambda number: Denied("no", status=403, code="DENIED")
    transfer = await begin(node, source)
    with pytest.raises(Denied):
        await transfer.wait_opened()
    assert len(source.opened) == 1


async def test_a_deep_reader_gets_a_lane_of_its_own(node: Rig) -> None:
    """It does not wait for the bytes before it, and the first lane goes on."""
    source = MemorySource(DATA)
    source.hold_at = MIB
    source.may_send.clear()
    transfer = await begin(node, source)
    await transfer.wait_opened()
    start = 30 * MIB
    reader = node.cache.open(DIGEST)
    assert reader is not None
    reading = asyncio.create_task(reader.read(ByteRange(start, start + 100)))
    await source.until(lambda source: len(source.opened) == 2)
    source.may_send.set()
    assert await reading == DATA[start : start + 100]
    reader.close()
    assert await read_whole(node, transfer) == DATA
    assert source.opened[1][0] <= start < source.opened[1][0] + 4 * MIB
    assert source.sent <= SIZE + source.chunk
    assert len(source.opened) <= 4


async def test_many_readers_do_not_play_ping_pong(node: Rig) -> None:
    """Twelve readers all over the blob: few connections, hardly a byte twice."""
    source = MemorySource(DATA)
    transfer = await begin(node, source)
    await transfer.wait_opened()
    places = [n * 7 % 40 * MIB for n in range(12)]
    bodies = await asyncio.gather(
        *(read_range(node, DIGEST, start, start + 1000) for start in places)
    )
    assert bodies == [DATA[start : start + 1000] for start in places]
    await transfer.wait_finished()
    assert len(source.opened) <= 8
    assert source.sent <= SIZE * 1.1


async def test_a_range_brings_no_more_than_its_segments(node: Rig) -> None:
    """Of a cold blob one byte is asked for, to learn the size, then the segments of the range."""
    source = MemorySource(DATA)
    transfer = await begin(node, source, whole=False)
    await transfer.wait_opened()
    assert await read_range(node, DIGEST, 20 * MIB, 20 * MIB + 10) == DATA[20 * MIB :][:10]
    await transfer.wait_finished()
    assert source.opened[0] == (0, 1)
    assert len(source.opened) == 2
    assert source.sent <= 4 * MIB
    assert bytes_on_disk(node.root) <= 4 * MIB


async def test_small_ranges_bring_their_blocks_alone(node: Rig) -> None:
    """At once, each by a request of its own; what is here is not asked for again."""
    source = MemorySource(DATA)
    transfer = await begin(node, source, whole=False)
    await transfer.wait_opened()
    places = [n * 5 * MIB + 77 for n in range(8)]
    for _ in range(2):
        bodies = await asyncio.gather(
            *(read_range(node, DIGEST, start, start + 100) for start in places)
        )
        assert bodies == [DATA[start : start + 100] for start in places]
    assert source.sent == len(places) * BLOCK
    assert len(source.opened) == 1 + len(places)
    assert not transfer.torrents


async def test_a_part_that_breaks_off_is_resumed_at_the_exact_byte(node: Rig) -> None:
    """And given up after as many fruitless tries as a whole blob."""
    source = MemorySource(DATA, chunk=5000)
    source.break_with = BROKEN
    source.break_at = lambda number: 10_000 if number == 1 else None
    transfer = await begin(node, source, whole=False)
    await transfer.wait_opened()
    start = 20 * MIB
    assert await read_range(node, DIGEST, start, start + 100_000) == DATA[start:][:100_000]
    stop = start + 7 * BLOCK
    assert source.opened[1:] == [(start, stop), (start + 10_000, stop)]
    source.break_at = lambda number: 0
    with pytest.raises(Unavailable, match="the connection broke"):
        await read_range(node, DIGEST, 0, 100)
    assert len(source.opened) == 4 + CONFIG.origin_retries


async def test_parts_that_come_to_cover_a_segment_are_offered(node: Rig) -> None:
    """Like a segment that came whole; the whole is verified with it."""
    source = MemorySource(DATA)
    transfer = await begin(node, source, whole=False)
    arrival = await transfer.wait_opened()
    segment = arrival.layout.at(20 * MIB)
    for start in range(segment.start, segment.stop, MIB // 4):
        assert await read_range(node, DIGEST, start, start + MIB // 4)
    while segment.index not in arrival.have:
        await arrival.changed()
    assert set(transfer.torrents) == {segment.index}
    assert source.sent == segment.length
    transfer.want_whole()
    assert await read_whole(node, transfer) == DATA
    assert source.sent == SIZE


async def test_a_source_without_ranges_is_read_from_the_start(node: Rig) -> None:
    """It answers every range with the whole; what a part would be is a segment then."""
    source = MemorySource(DATA)
    source.ranges = False
    transfer = await begin(node, source, whole=False)
    await transfer.wait_opened()
    start = 20 * MIB
    assert await read_range(node, DIGEST, start, start + 10) == DATA[start : start + 10]
    assert await read_range(node, DIGEST, 0, 10) == DATA[:10]
    assert source.live <= 1


async def test_an_open_range_that_is_left_early_stops(node: Rig) -> None:
    """containerd asks for ``bytes=N-`` and drops the connection after its chunk."""
    source = MemorySource(DATA)
    source.hold_at = 12 * MIB
    source.may_send.clear()
    transfer = await begin(node, source, whole=False)
    await transfer.wait_opened()
    reader = node.cache.open(DIGEST)
    assert reader is not None
    reading = asyncio.create_task(reader.read(ByteRange(10 * MIB, SIZE)))
    await source.until(sent(MIB))
    reading.cancel()
    await asyncio.wait([reading])
    reader.close()
    source.may_send.set()
    await transfer.wait_finished()
    assert source.sent <= 8 * MIB
    assert source.live == 0


async def test_no_room_passes_through(tmp_path: Path) -> None:
    """It is not a fault of the source, so nothing is tried again."""
    async with rig(tmp_path, limit=10 * MIB) as node:
        source = MemorySource(DATA)
        transfer = await begin(node, source)
        with pytest.raises(NoSpace, match="--cache-size"):
            await transfer.wait_opened()
        assert source.opened == [(0, None)]
        assert source.sent == 0


async def leave_the_first_mib(node: Rig) -> None:
    """Leave segments of the small blob to be resumed."""
    source = MemorySource(SMALL)
    source.break_with = Denied("token expired", status=401, code="UNAUTHORIZED")
    source.break_at = lambda number: MIB + 5
    transfer = await begin(node, source)
    with pytest.raises(Denied):
        await transfer.wait_finished()


async def test_a_transfer_whose_first_source_was_given_up_goes_on(node: Rig) -> None:
    """Also one that was given up as soon as it had begun, with segments of earlier to be hashed."""
    source = MemorySource(SMALL)

    async def impatient(transfer: Transfer) -> None:
        beginning = asyncio.create_task(transfer.begin(len(SMALL)))
        while not transfer.begun:
            await asyncio.wait([beginning], timeout=0)
        beginning.cancel()
        await asyncio.wait([beginning])
        await InOrderFill(source, CONFIG)(transfer)

    await leave_the_first_mib(node)
    transfer = await node.transfers.start(digest_of(SMALL), impatient, whole=True)
    assert transfer is not None
    async with asyncio.timeout(60):
        assert await read_whole(node, transfer) == SMALL


async def test_a_beginning_without_room_is_taken_up_again(tmp_path: Path) -> None:
    """Whoever comes next finds no transfer that has begun and never opens."""
    async with rig(tmp_path, limit=2 * MIB) as node:
        source = MemorySource(SMALL)

        async def second_time(transfer: Transfer) -> None:
            with pytest.raises(NoSpace):
                await transfer.begin(len(SMALL))
            node.cache.resize(0)
            await InOrderFill(source, CONFIG)(transfer)

        transfer = await node.transfers.start(digest_of(SMALL), second_time, whole=True)
        assert transfer is not None
        async with asyncio.timeout(60):
            assert await read_whole(node, transfer) == SMALL


async def test_wrong_content_reaches_nobody(node: Rig) -> None:
    """The last byte is never given, and nothing is kept."""
    source = MemorySource(SMALL)
    fill = InOrderFill(source, CONFIG)
    transfer = await node.transfers.start(DIGEST, fill, whole=True)
    assert transfer is not None
    with pytest.raises(WrongContent):
        await read_whole(node, transfer)
    with pytest.raises(WrongContent):
        await transfer.wait_finished()
    assert bytes_on_disk(node.root) == 0


async def test_stopping_closes_every_connection(tmp_path: Path) -> None:
    """In the middle of a chunk as well as between connections."""
    for moment in range(12):
        async with rig(tmp_path / str(moment)) as node:
            source = MemorySource(DATA)
            await begin(node, source)
            await source.until(sent(moment << 19))
        assert source.live == 0


async def test_segments_that_are_kept_are_not_fetched_again(node: Rig) -> None:
    """A resumption asks for the missing bytes alone."""
    await leave_the_first_mib(node)
    again = MemorySource(SMALL)
    assert await read_whole(node, await begin(node, again)) == SMALL
    assert again.opened == [(0, 1), (MIB, 3 * MIB)]
