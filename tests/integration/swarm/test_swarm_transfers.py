"""Transfers with real files and a real session; sources are scripted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eagle_node.base.digest import digest_of
from eagle_node.base.errors import Denied, NoSpace, Unavailable, WrongContent
from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.lent import FileIdentity, LentFile
from eagle_node.blobs.segments import layout_of
from eagle_node.metrics.instruments import total
from eagle_node.swarm.torrents import pack_torrents
from eagle_node.swarm.transfer import INLINE_LIMIT, Transfer
from tests.integration.swarm.rig import Rig, Script, read_range, read_whole, rig
from tests.unit.blobs.builders import MIB, bytes_on_disk, content, ingest, read_back

SIZE = 4 * MIB + 9
DATA = content(SIZE)
DIGEST = digest_of(DATA)
SEGMENTS = layout_of(SIZE).segments
COUNT = len(SEGMENTS)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path / "cache", linger_s=0.05) as running:
        yield running


async def begin(node: Rig, source: Script, *, whole: bool = True) -> Transfer:
    transfer = await node.transfers.start(digest_of(DATA), source, whole=whole)
    assert transfer is not None
    return transfer


async def read_whole_until_broken(node: Rig) -> None:
    """Leave the first segment of the blob to be resumed."""
    transfer = await begin(node, Script(DATA, error=Unavailable("broken off")))
    with pytest.raises(Unavailable, match="broken off"):
        await transfer.wait_finished()


async def test_many_who_ask_at_once_cause_one_fetch(node: Rig) -> None:
    """Every one of them gets the whole blob, which is then in the cache and seeded."""
    source = Script(DATA)

    async def client() -> bytes:
        return await read_whole(node, await begin(node, source))

    bodies = await asyncio.gather(*(client() for _ in range(30)))
    assert set(bodies) == {DATA}
    assert source.calls == 1
    assert DIGEST in node.cache
    assert len(node.transfers.seeding.seeded()[DIGEST]) == len(node.swarm) == COUNT
    assert not node.transfers.running()


async def test_a_blob_that_is_here_needs_no_transfer(node: Rig) -> None:
    """Whoever looked into the cache before it was committed is told to look again."""
    await ingest(node.cache, DATA)
    source = Script(DATA)
    assert await node.transfers.start(DIGEST, source, whole=True) is None
    assert source.calls == 0


async def test_a_failing_source_fails_everybody_and_the_next_one_is_asked_anew(node: Rig) -> None:
    """An error before the first byte is not remembered."""
    broken = Script(b"", error=Unavailable("the origin is down"))
    broken.may_begin.clear()
    transfers = [await begin(node, broken) for _ in range(5)]
    waiting = [asyncio.create_task(transfer.wait_opened()) for transfer in transfers]
    await asyncio.sleep(0)
    broken.may_begin.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert {str(error) for error in results} == {"the origin is down"}
    assert await read_whole(node, await begin(node, Script(DATA))) == DATA


async def test_an_error_half_way_keeps_what_is_whole(node: Rig) -> None:
    """The next transfer brings only what is missing; until then nothing of it is seeded."""
    broken = Script(DATA, error=Unavailable("broken off"))
    transfer = await begin(node, broken)
    with pytest.raises(Unavailable, match="broken off"):
        await read_whole(node, transfer)
    with pytest.raises(Unavailable):
        await transfer.wait_finished()
    assert len(node.swarm) == 0
    assert node.cache.resumable(DIGEST) == SIZE
    source = Script(DATA)
    assert await read_whole(node, await begin(node, source)) == DATA
    assert source.brought == list(range(1, COUNT))
    assert len(node.swarm) == COUNT


async def test_a_fault_of_ours_fails_everybody_and_the_next_one_works(
    node: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception that is none of the error family is logged and leaves nobody waiting."""
    broken = Script(DATA, error=ZeroDivisionError("a bug"))
    transfer = await begin(node, broken)
    with pytest.raises(Unavailable, match="given up"):
        await read_whole(node, transfer)
    assert await read_whole(node, await begin(node, Script(DATA))) == DATA
    assert "a bug" in caplog.text


async def test_a_client_that_goes_away_takes_nobody_with_it(node: Rig) -> None:
    """Waiting for the start or the end of a transfer can be given up."""
    source = Script(DATA)
    source.may_begin.clear()
    transfer = await begin(node, source)
    leaving = [
        asyncio.create_task(transfer.wait_opened()),
        asyncio.create_task(transfer.wait_finished()),
    ]
    staying = asyncio.create_task(read_whole(node, transfer))
    await asyncio.sleep(0)
    for task in leaving:
        task.cancel()
    await asyncio.wait(leaving)
    source.may_begin.set()
    assert await staying == DATA
    await transfer.wait_finished()


async def test_wrong_content_withdraws_the_torrents(node: Rig) -> None:
    """What was offered while it arrived is taken back; the cache keeps nothing."""
    wrong = Script(content(SIZE, 1))
    transfer = await begin(node, wrong)
    with pytest.raises(WrongContent):
        await read_whole(node, transfer)
    with pytest.raises(WrongContent):
        await transfer.wait_finished()
    assert (len(node.swarm), node.transfers.seeding.seeded()) == (0, {})
    assert (len(node.cache), node.cache.resumable(DIGEST)) == (0, None)
    assert bytes_on_disk(node.root) == 0
    assert total(node.metrics.wrong_content) == 1


@pytest.mark.parametrize("size", [0, 1, INLINE_LIMIT - 1, INLINE_LIMIT, INLINE_LIMIT + 1])
async def test_only_blobs_beyond_the_inline_limit_have_torrents(node: Rig, size: int) -> None:
    """Smaller ones travel with the seeder's answer; an empty one is a blob as well."""
    data = content(size)
    transfer = await node.transfers.start(digest_of(data), Script(data), whole=True)
    assert transfer is not None
    await transfer.wait_finished()
    assert await read_back(node.cache, digest_of(data)) == data
    assert len(await node.transfers.seeding.torrents_of(digest_of(data))) == (size > INLINE_LIMIT)
    assert len(node.swarm) == (size > INLINE_LIMIT)


async def test_a_range_brings_its_segments_alone_and_a_later_one_its_own(node: Rig) -> None:
    """Once nobody reads any more the arrival is suspended, and resumed by the next range."""
    source = Script(DATA)
    transfer = await begin(node, source, whole=False)
    await transfer.wait_opened()
    start, stop = SEGMENTS[1].start, SEGMENTS[1].stop
    assert await read_range(node, DIGEST, start, start + 5) == DATA[start : start + 5]
    assert source.brought == [1]
    await transfer.wait_finished()
    assert not node.cache.arrivals()
    again = Script(DATA)
    transfer = await begin(node, again, whole=False)
    await transfer.wait_opened()
    assert await read_range(node, DIGEST, 0, stop) == DATA[:stop]
    assert again.brought == [0]
    await begin(node, again)
    await transfer.wait_finished()
    assert await read_back(node.cache, DIGEST) == DATA


async def test_an_open_reader_keeps_a_transfer_alive(node: Rig) -> None:
    """A client that is slow to ask for its bytes is not told that the blob was suspended."""
    transfer = await begin(node, Script(DATA), whole=False)
    await transfer.wait_opened()
    reader = node.cache.open(DIGEST)
    assert reader is not None
    await asyncio.sleep(0.2)
    assert not transfer.closing
    assert await reader.read() == DATA
    reader.close()


async def test_who_asks_while_a_transfer_is_suspended_gets_the_next_one(node: Rig) -> None:
    """However the suspension and the new request interleave, each client gets its bytes."""

    async def client(number: int) -> bytes:
        await asyncio.sleep(0.002 * number)
        start = number % 4 * MIB
        while True:
            transfer = await begin(node, Script(DATA), whole=False)
            await transfer.wait_opened()
            if (reader := node.cache.open(DIGEST)) is None:
                continue
            body = await reader.read(ByteRange(start, start + 9))
            reader.close()
            return body

    bodies = await asyncio.gather(*(client(number) for number in range(60)))
    assert bodies == [DATA[n % 4 * MIB : n % 4 * MIB + 9] for n in range(60)]


async def test_a_cancelled_beginning_is_taken_up_again(node: Rig) -> None:
    """A seeder that is replaced while the size is being recorded leaves no trace."""
    steps = 0

    async def impatient(transfer: Transfer) -> None:
        nonlocal steps
        for patience in range(12):
            starting = asyncio.create_task(transfer.begin(SIZE))
            for _ in range(patience):
                await asyncio.sleep(0)
            starting.cancel()
            steps += 1
            await asyncio.wait([starting])
        await Script(DATA)(transfer)

    await read_whole_until_broken(node)
    transfer = await node.transfers.start(DIGEST, impatient, whole=True)
    assert transfer is not None
    assert await read_whole(node, transfer) == DATA
    assert steps == 12


async def test_a_kept_segment_that_cannot_be_read_comes_again(
    node: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """It is found out after the transfer has opened: readers do not wait for all to be hashed."""
    source = Script(DATA)

    async def robbed(transfer: Transfer) -> None:
        arrival = await transfer.begin(SIZE)
        assert arrival.have == {0}
        assert not transfer.torrents
        arrival.directory.segment(0).unlink()
        await source(transfer)

    await read_whole_until_broken(node)
    transfer = await node.transfers.start(DIGEST, robbed, whole=True)
    assert transfer is not None
    await transfer.wait_finished()
    assert await read_back(node.cache, DIGEST) == DATA
    assert sorted(source.brought) == list(range(COUNT))
    assert len(node.swarm) == COUNT
    assert "fetched again in part" in caplog.text


async def test_a_segment_that_came_as_parts_is_here_although_its_last_reader_has_gone(
    node: Rig,
) -> None:
    """Whoever brought the last part is given up with the reader, at whatever moment."""
    run = ByteRange(SEGMENTS[0].start, SEGMENTS[0].stop)

    async def in_parts(transfer: Transfer) -> None:
        arrival = await transfer.begin(SIZE)
        with transfer.part(run) as writer:
            await writer.write(DATA[run.start : run.stop])
        telling = asyncio.create_task(transfer.part_written(run))
        await asyncio.sleep(0)
        telling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await telling
        assert (arrival.have, arrival.writing) == ({0}, set())
        await source(transfer)

    source = Script(DATA)
    transfer = await node.transfers.start(DIGEST, in_parts, whole=True)
    assert transfer is not None
    assert await read_whole(node, transfer) == DATA
    assert source.brought == list(range(1, COUNT))


def expired() -> Denied:
    """What a registry says to a token that has expired."""
    return Denied("expired", status=401, code="UNAUTHORIZED")


async def test_a_refused_source_makes_way_for_another_readers(node: Rig) -> None:
    """A token that has expired ends nobody's transfer when there is a newer one."""
    first, second = Script(DATA, error=expired()), Script(DATA)
    first.may_write.clear()
    transfer = await node.transfers.start(DIGEST, first, whole=True, claim="old")
    assert transfer is not None
    await transfer.wait_opened()
    third = Script(DATA, error=expired())
    for claim, source in (("older", third), ("old", Script(DATA)), ("new", second)):
        assert await node.transfers.start(DIGEST, source, whole=True, claim=claim) is transfer
    first.may_write.set()
    assert await read_whole(node, transfer) == DATA
    assert (first.calls, second.calls, third.calls) == (1, 1, 0)
    assert sorted([*first.brought, *second.brought]) == list(range(COUNT))


async def test_a_refusal_before_the_first_byte_is_for_who_asked(node: Rig) -> None:
    """Nobody reads with another's rights: whoever waits asks anew, in his own name."""
    first, second = Script(b"", error=expired()), Script(DATA)
    first.may_begin.clear()
    transfer = await node.transfers.start(DIGEST, first, whole=True, claim="wrong")
    assert transfer is not None
    await node.transfers.start(DIGEST, second, whole=True, claim="right")
    first.may_begin.set()
    with pytest.raises(Denied):
        await transfer.wait_opened()
    assert second.calls == 0


async def test_two_sources_have_to_agree_on_the_size(node: Rig) -> None:
    """One of them is wrong; the blob is not begun twice."""

    async def divided(transfer: Transfer) -> None:
        await transfer.begin(SIZE)
        await transfer.begin(SIZE + 1)

    transfer = await node.transfers.start(DIGEST, divided, whole=True)
    assert transfer is not None
    with pytest.raises(Unavailable, match="disagree on the size"):
        await transfer.wait_finished()


async def test_no_room_for_the_whole_is_known_before_a_byte_moves(tmp_path: Path) -> None:
    """Every source that is tried finds that out at once; ranges may still fit."""
    async with rig(tmp_path, limit=2 * MIB, linger_s=0.05) as node:
        attempts = 0

        async def stubborn(transfer: Transfer) -> None:
            nonlocal attempts
            for _ in range(3):
                with pytest.raises(NoSpace):
                    await transfer.begin(SIZE)
                attempts += 1
            await transfer.begin(SIZE)

        transfer = await node.transfers.start(DIGEST, stubborn, whole=True)
        assert transfer is not None
        with pytest.raises(NoSpace, match="--cache-size"):
            await transfer.wait_opened()
        assert attempts == 3
        with pytest.raises(NoSpace):
            await transfer.wait_finished()
        transfer = await begin(node, Script(DATA), whole=False)
        await transfer.wait_opened()
        assert await read_range(node, DIGEST, MIB, MIB + 5) == DATA[MIB : MIB + 5]


async def test_an_evicted_blob_is_not_offered_any_more(tmp_path: Path) -> None:
    """Its torrents go before its files do, those of its whole included."""
    async with rig(tmp_path, limit=5 * MIB) as node:
        await read_whole(node, await begin(node, Script(DATA)))
        await node.transfers.seeding.whole_torrent(DIGEST, [])
        assert len(node.swarm) == COUNT + 1
        other = content(MIB, 3)
        await ingest(node.cache, other)
        assert DIGEST not in node.cache
        assert (len(node.swarm), node.transfers.seeding.seeded()) == (0, {})
        with pytest.raises(Unavailable, match="not in the cache"):
            await node.transfers.seeding.torrents_of(DIGEST)


async def drop_own_copy(node: Rig, directory: Path) -> None:
    """The blob lies elsewhere as well, so the cache's copy goes."""
    path = directory / "lent"
    path.write_bytes(DATA)
    node.cache.lend(LentFile(digest=DIGEST, path=path, identity=FileIdentity.of(path.stat())))
    assert await node.cache.drop(DIGEST, spare=True)


@pytest.mark.parametrize("which", ["segments", "whole"])
async def test_a_copy_that_is_dropped_while_its_torrents_are_made_is_not_offered(
    tmp_path: Path, which: str
) -> None:
    """Although the blob is lent: the files that the torrents are of are gone."""
    async with rig(tmp_path / "cache") as node:
        seeding = node.transfers.seeding
        await ingest(node.cache, DATA)
        one = ThreadPoolExecutor(1)
        asyncio.get_running_loop().set_default_executor(one)
        making: asyncio.Task[object] = asyncio.create_task(
            seeding.torrents_of(DIGEST)
            if which == "segments"
            else seeding.whole_torrent(DIGEST, [])
        )
        await asyncio.sleep(0)
        # Threads' work is done in order: the torrents have been made, and nobody knows it yet.
        one.submit(int).result()
        await drop_own_copy(node, tmp_path)
        with pytest.raises(Unavailable):
            await making
        assert (len(node.swarm), seeding.seeded()) == (0, {})


async def test_a_copy_that_is_dropped_as_it_is_committed_is_not_offered(tmp_path: Path) -> None:
    """Nor is it named among what is."""
    async with rig(tmp_path / "cache") as node:
        transfer = await begin(node, Script(DATA))
        while not node.cache.is_resident(DIGEST):
            await asyncio.wait([transfer.finished], timeout=0)
        await drop_own_copy(node, tmp_path)
        await transfer.wait_finished()
        assert (len(node.swarm), node.transfers.seeding.seeded()) == (0, {})


async def test_the_limit_of_torrents_is_held(tmp_path: Path) -> None:
    """Blobs that were not used for long are not offered until somebody asks for them again."""
    blobs = [content(2 * MIB, seed) for seed in range(4)]
    each = len(layout_of(2 * MIB).segments)
    most = 2 * each + 1
    async with rig(tmp_path, most_torrents=most) as node:
        for blob in blobs:
            transfer = await node.transfers.start(digest_of(blob), Script(blob), whole=True)
            assert transfer is not None
            await transfer.wait_finished()
            assert len(node.swarm) <= most
        assert node.transfers.seeding.seeded().keys() == {digest_of(blob) for blob in blobs[2:]}
        await node.transfers.seeding.torrents_of(digest_of(blobs[0]))
        assert len(node.swarm) <= most
        assert digest_of(blobs[0]) in node.transfers.seeding.seeded()
    async with rig(tmp_path, most_torrents=most) as node:
        await node.transfers.seeding.seed_cache()
        assert len(node.swarm) == 2 * each
        assert len(node.transfers.seeding.seeded()) == 2


async def test_a_restart_seeds_what_the_cache_holds(tmp_path: Path) -> None:
    """With the kept metainfo, or with the same one made again when that is damaged."""
    async with rig(tmp_path) as node:
        await read_whole(node, await begin(node, Script(DATA)))
        before = node.transfers.seeding.seeded()[DIGEST]
        path = node.cache.directory(DIGEST).torrents
    for damage in (None, b"", b"garbage", pack_torrents(before[:2]), pack_torrents(before[::-1])):
        if damage is not None:
            await asyncio.to_thread(path.write_bytes, damage)
        async with rig(tmp_path) as node:
            await node.transfers.seeding.seed_cache()
            assert node.transfers.seeding.seeded() == {DIGEST: before}
            assert len(node.swarm) == COUNT


async def test_stopping_releases_everybody_and_keeps_what_is_whole(tmp_path: Path) -> None:
    """Nobody is left waiting for a transfer of a node that stops."""
    async with rig(tmp_path) as node:
        source = Script(DATA)
        transfer = await begin(node, source)
        arrival = await transfer.wait_opened()
        while not arrival.have:
            await arrival.changed()
        source.may_write.clear()
        reading = asyncio.create_task(read_whole(node, transfer))
        await asyncio.sleep(0)
        waiting = asyncio.create_task(transfer.wait_finished())
        await node.transfers.__aexit__()
        for task in (reading, waiting):
            with pytest.raises(Unavailable, match="given up"):
                await task
    async with rig(tmp_path) as node:
        assert node.cache.resumable(DIGEST) == SIZE
