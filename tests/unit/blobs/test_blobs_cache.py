"""Rules of the cache, on real files and a real index."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from eagle_node.base.digest import Digest, digest_of
from eagle_node.base.errors import NoSpace, StartError, Unavailable, WrongContent
from eagle_node.blobs.arrival import Phase
from eagle_node.blobs.cache import Cache
from eagle_node.blobs.files import blob_directory
from eagle_node.blobs.segments import LAYOUT_VERSION, layout_of
from tests.support.waiting import until
from tests.unit.blobs.builders import (
    MIB,
    bring,
    bytes_on_disk,
    content,
    ingest,
    make_cache,
    read_back,
)

DATA = content(3 * MIB)
DIGEST = digest_of(DATA)
LAYOUT = layout_of(len(DATA))
ALL = set(range(len(LAYOUT.segments)))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def segment_files(root: Path, digest: Digest) -> list[str]:
    directory = blob_directory(root, digest)
    return sorted(path.name[-4:] for path in directory.path.glob("*.????"))


def age(root: Path) -> None:
    """Make the index one that an earlier boot of this machine has written."""
    connection = sqlite3.connect(root / "index.sqlite")
    for table in ("committed", "arriving"):
        connection.execute(f"UPDATE {table} SET boot = 'an earlier one'")
    connection.commit()
    connection.close()


def overwrite(path: Path, data: bytes) -> None:
    path.write_bytes(data)


async def test_a_committed_blob_survives_a_restart(root: Path) -> None:
    """Bytes, size and recency are those from before."""
    async with make_cache(root) as cache:
        await ingest(cache, DATA)
        assert (len(cache), cache.used) == (1, 3 * MIB)
    async with make_cache(root) as cache:
        assert DIGEST in cache
        assert cache.used == 3 * MIB
        assert await read_back(cache, DIGEST) == DATA


async def test_the_least_recently_used_blob_goes_first(root: Path) -> None:
    """Reading counts as use, across a restart too."""
    blobs = [content(MIB, seed) for seed in range(4)]
    async with make_cache(root, limit=3 * MIB) as cache:
        first, second, third = [await ingest(cache, blob) for blob in blobs[:3]]
        await read_back(cache, first)
    async with make_cache(root, limit=3 * MIB) as cache:
        assert list(cache.blobs()) == [second, third, first]
        fourth = await ingest(cache, blobs[3])
        assert set(cache.blobs()) == {third, first, fourth}


async def test_a_blob_that_is_being_read_is_not_evicted(root: Path) -> None:
    """Rather there is no room; once the reader has gone there is."""
    async with make_cache(root, limit=3 * MIB) as cache:
        await ingest(cache, DATA)
        reader = cache.open(DIGEST)
        assert reader is not None
        other = content(MIB, 1)
        with pytest.raises(NoSpace):
            await ingest(cache, other)
        assert not await cache.drop(DIGEST)
        assert await reader.read() == DATA
        reader.close()
        await ingest(cache, other)
        assert DIGEST not in cache
        cache.check()


async def test_no_room_names_the_flags_that_make_room(root: Path) -> None:
    """The message is for the person who runs the node."""
    async with make_cache(root, limit=MIB) as cache:
        with pytest.raises(NoSpace, match=r"(?s)--cache-size.*--cache-reserve"):
            await ingest(cache, DATA)
        assert cache.used == 0
        assert bytes_on_disk(root) == 0


async def test_the_reserve_of_the_disk_is_left_alone(root: Path) -> None:
    """A reserve beyond what is free leaves no room at all, whatever the limit."""
    async with make_cache(root, reserve=shutil.disk_usage(root.parent).total * 2) as cache:
        with pytest.raises(NoSpace, match="reserved"):
            await ingest(cache, DATA)
        with pytest.raises(NoSpace, match="--cache-reserve"):
            cache.check_room()


async def test_a_reservation_counts_before_its_bytes_are_there(root: Path) -> None:
    """Two arrivals cannot be promised the same room."""
    async with make_cache(root, limit=4 * MIB) as cache:
        one = await cache.arrive(DIGEST, 3 * MIB)
        cache.reserve(one, ALL)
        other = await cache.arrive(digest_of(b"other"), 3 * MIB)
        cache.reserve(other, [0])
        with pytest.raises(NoSpace):
            cache.reserve(other, ALL)
        await cache.discard(one)
        cache.reserve(other, ALL)
        cache.check()


async def test_what_has_no_digest_yet_has_its_room(root: Path) -> None:
    """It counts while it is held, leaves no file behind, and is refused like any blob."""
    async with make_cache(root, limit=4 * MIB) as cache:
        async with cache.hold(3 * MIB) as file:
            assert os.fstat(file.fileno()).st_size == 3 * MIB
            assert cache.used == 3 * MIB
            with pytest.raises(NoSpace, match="--cache-size"):
                await ingest(cache, DATA)
        assert cache.used == 0
        await ingest(cache, DATA)
        assert bytes_on_disk(root) == 3 * MIB


async def test_wrong_content_leaves_nothing_behind(root: Path) -> None:
    """Not a file, not a row, nothing to resume."""
    async with make_cache(root) as cache:
        dropped: list[Digest] = []
        cache.on_drop.append(dropped.append)
        arrival = await cache.arrive(digest_of(b"another"), len(DATA))
        await bring(cache, arrival, DATA)
        await arrival.verify()
        assert isinstance(arrival.error, WrongContent)
        await cache.suspend(arrival)
        assert dropped == [arrival.digest]
        assert cache.resumable(arrival.digest) is None
        assert not blob_directory(root, arrival.digest).path.exists()
    async with make_cache(root) as cache:
        assert (len(cache), cache.resumable(arrival.digest)) == (0, None)


async def test_a_suspended_arrival_resumes_with_its_whole_segments(root: Path) -> None:
    """Partial files are deleted: nobody would count their bytes."""
    async with make_cache(root) as cache:
        arrival = await cache.arrive(DIGEST, len(DATA))
        await bring(cache, arrival, DATA, [0, 2])
        cache.reserve(arrival, [1])
        overwrite(arrival.directory.segment(1), b"half")
        await cache.suspend(arrival)
        assert segment_files(root, DIGEST) == ["0000", "0002"]
        assert cache.resumable(DIGEST) == len(DATA)
        arrival = await cache.arrive(DIGEST, len(DATA))
        assert arrival.resumed == {0, 2}
        await bring(cache, arrival, DATA)
        await arrival.verify()
        await cache.commit(arrival, b"le")
        assert await read_back(cache, DIGEST) == DATA


async def test_a_restart_in_the_same_boot_resumes(root: Path) -> None:
    """The page cache outlives a process, so verified segments are still good."""
    async with make_cache(root) as cache:
        arrival = await cache.arrive(DIGEST, len(DATA))
        await bring(cache, arrival, DATA, [1])
        overwrite(arrival.directory.segment(0), b"half")
    async with make_cache(root) as cache:
        assert cache.resumable(DIGEST) == len(DATA)
        assert segment_files(root, DIGEST) == ["0001"]
        assert (await cache.arrive(DIGEST, len(DATA))).resumed == {1}


async def test_a_restart_after_a_boot_does_not_resume(root: Path) -> None:
    """What was not flushed may be torn: unfinished arrivals are deleted."""
    async with make_cache(root) as cache:
        await bring(cache, await cache.arrive(DIGEST, len(DATA)), DATA, [0])
    age(root)
    async with make_cache(root) as cache:
        assert cache.resumable(DIGEST) is None
        assert bytes_on_disk(root) == 0
        assert (await cache.arrive(DIGEST, len(DATA))).resumed == set()


async def test_blobs_of_an_earlier_boot_are_hashed_again(root: Path) -> None:
    """Unless they were flushed: a power loss tears files that a marker calls whole."""
    torn, right = content(MIB, 1), content(MIB, 2)
    async with make_cache(root) as cache:
        await ingest(cache, torn)
        await ingest(cache, right)
    age(root)
    overwrite(blob_directory(root, digest_of(torn)).segment(0), bytes(MIB))
    async with make_cache(root) as cache:
        assert set(cache.blobs()) == {digest_of(right)}
    assert not blob_directory(root, digest_of(torn)).path.exists()


async def test_a_blob_that_the_index_does_not_know_is_hashed(root: Path) -> None:
    """A crash between marker and index loses no blob, and lets no wrong one in."""
    async with make_cache(root) as cache:
        await ingest(cache, DATA)
        await ingest(cache, b"small")
    (root / "index.sqlite").unlink()
    overwrite(blob_directory(root, digest_of(b"small")).segment(0), b"wrong")
    async with make_cache(root) as cache:
        assert set(cache.blobs()) == {DIGEST}


async def test_segments_that_are_lost_while_suspended_are_fetched_again(root: Path) -> None:
    """A resumption does not rely on a file that somebody has deleted or cut."""
    async with make_cache(root) as cache:
        arrival = await cache.arrive(DIGEST, len(DATA))
        await bring(cache, arrival, DATA)
        await cache.suspend(arrival)
        arrival.directory.segment(0).unlink()
        overwrite(arrival.directory.segment(1), b"cut")
        resumed = await cache.arrive(DIGEST, len(DATA))
        assert resumed.resumed == ALL - {0, 1}
        cache.check()
        assert cache.used == len(DATA) - LAYOUT.segments[1].stop


async def test_another_size_than_before_starts_afresh(root: Path) -> None:
    """Segments of another layout are of no use."""
    async with make_cache(root) as cache:
        arrival = await cache.arrive(DIGEST, len(DATA))
        await bring(cache, arrival, DATA)
        await cache.suspend(arrival)
        assert (await cache.arrive(DIGEST, len(DATA) + 1)).resumed == set()
        assert segment_files(root, DIGEST) == []


async def test_an_absurd_size_is_refused_before_it_costs_anything(root: Path) -> None:
    """Sizes come from strangers."""
    async with make_cache(root) as cache:
        with pytest.raises(Unavailable, match="no blob has"):
            await cache.arrive(DIGEST, 1 << 62)
        assert not cache.arrivals()


async def test_a_cancelled_start_can_be_tried_again(root: Path) -> None:
    """Nothing is left half registered, and kept segments stay kept."""
    async with make_cache(root) as cache:
        arrival = await cache.arrive(DIGEST, len(DATA))
        await bring(cache, arrival, DATA, [0])
        await cache.suspend(arrival)
        starting = asyncio.create_task(cache.arrive(DIGEST, len(DATA)))
        await asyncio.sleep(0)
        starting.cancel()
        await asyncio.wait([starting])
        assert starting.cancelled()
        assert not cache.arrivals()
        assert cache.resumable(DIGEST) == len(DATA)
        assert (await cache.arrive(DIGEST, len(DATA))).resumed == {0}


async def test_kept_segments_make_room_before_blobs_do(root: Path) -> None:
    """What is not whole is worth less; it is counted until then."""
    blob = content(MIB, 1)
    async with make_cache(root, limit=4 * MIB) as cache:
        await ingest(cache, blob)
        arrival = await cache.arrive(DIGEST, len(DATA))
        await bring(cache, arrival, DATA)
        await cache.suspend(arrival)
        assert bytes_on_disk(root) == 4 * MIB
        await ingest(cache, content(MIB, 2))
        assert digest_of(blob) in cache
        assert cache.resumable(DIGEST) is None
        assert bytes_on_disk(root) == 2 * MIB


async def test_a_smaller_limit_evicts_at_the_next_start(root: Path) -> None:
    """The limit is hard from the first moment on."""
    async with make_cache(root) as cache:
        for seed in range(4):
            await ingest(cache, content(MIB, seed))
    async with make_cache(root, limit=2 * MIB) as cache:
        assert set(cache.blobs()) == {digest_of(content(MIB, seed)) for seed in (2, 3)}
        assert bytes_on_disk(root) == 2 * MIB


async def test_listeners_hear_of_blobs_after_they_come_and_before_they_go(root: Path) -> None:
    """The files are there whenever somebody is told."""
    heard: list[tuple[str, bool]] = []

    async with make_cache(root) as cache:

        def listen(cache: Cache, what: str) -> None:
            def tell(digest: Digest) -> None:
                heard.append((what, cache.directory(digest).segment(0).exists()))

            (cache.on_commit if what == "commit" else cache.on_drop).append(tell)

        listen(cache, "commit")
        listen(cache, "drop")
        await ingest(cache, DATA)
        assert await cache.drop(DIGEST)
        assert not await cache.drop(DIGEST)
    assert heard == [("commit", True), ("drop", True)]


async def test_a_disk_error_at_commit_is_no_space(root: Path) -> None:
    """The blob does not become visible, and its segments are kept."""
    async with make_cache(root) as cache:
        arrival = await cache.arrive(DIGEST, len(DATA))
        await bring(cache, arrival, DATA)
        await arrival.verify()
        assert arrival.phase is Phase.VERIFIED
        (arrival.directory.path / "whole.part").mkdir()
        with pytest.raises(NoSpace, match="cannot commit"):
            await cache.commit(arrival, b"le")
        assert DIGEST not in cache
        await cache.suspend(arrival)
        assert (await cache.arrive(DIGEST, len(DATA))).resumed == ALL


def refuse(root: Path, change: str) -> None:
    """Have the index refuse ``change`` of its table of whole blobs, as one on a full disk does."""
    connection = sqlite3.connect(root / "index.sqlite")
    connection.execute(
        f"CREATE TRIGGER refusal BEFORE {change} ON committed"
        " BEGIN SELECT RAISE(ABORT, 'no more room'); END"
    )
    connection.close()


def permit(root: Path) -> None:
    """Have it take everything again."""
    connection = sqlite3.connect(root / "index.sqlite")
    connection.execute("DROP TRIGGER refusal")
    connection.close()


async def test_a_blob_that_the_index_cannot_take_is_whole(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Everybody hears of it, and the next start finds it by its marker."""
    heard: list[Digest] = []
    async with make_cache(root) as cache:
        cache.on_commit.append(heard.append)
        refuse(root, "INSERT")
        assert await ingest(cache, DATA) == DIGEST
        assert heard == [DIGEST]
        assert "no more room" in caplog.text
        assert await read_back(cache, DIGEST) == DATA
        cache.check()
    permit(root)
    async with make_cache(root) as cache:
        assert await read_back(cache, DIGEST) == DATA


async def test_nobody_hears_of_a_blob_that_was_evicted_as_it_came(root: Path) -> None:
    """Another arrival may take its room before the index has it."""
    heard: list[Digest] = []
    async with make_cache(root) as cache:
        cache.on_commit.append(heard.append)
        coming = asyncio.create_task(ingest(cache, DATA))
        while not cache.is_resident(DIGEST):
            await asyncio.wait([coming], timeout=0)
        assert await cache.drop(DIGEST)
        await coming
        assert heard == []
    async with make_cache(root) as cache:
        assert len(cache) == 0


def recency(root: Path) -> list[str]:
    """Digests in the order in which the index says that they were used."""
    connection = sqlite3.connect(root / "index.sqlite")
    rows = connection.execute("SELECT digest FROM committed ORDER BY used").fetchall()
    connection.close()
    return [digest for (digest,) in rows]


async def test_what_the_index_could_not_note_is_noted_later(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A disk that was full for a while costs no recency; it is logged once."""

    async def logged(text: str) -> None:
        async def is_there() -> bool:
            return text in caplog.text

        await until(is_there, what=f"the log to say {text!r}")

    caplog.set_level("INFO")
    async with make_cache(root, recency_flush_s=0.01) as cache:
        other = await ingest(cache, content(MIB, 1))
        await ingest(cache, DATA)
        refuse(root, "UPDATE OF used")
        await read_back(cache, other)
        await logged("cannot remember when blobs were last used")
        assert recency(root) == [other, DIGEST]
        permit(root)
        await logged("remembering when blobs were last used again")
        assert recency(root) == [DIGEST, other]
    assert caplog.text.count("cannot remember") == 1


async def test_a_full_disk_does_not_keep_a_cache_from_closing(root: Path) -> None:
    """What was used last is forgotten then."""
    async with make_cache(root) as cache:
        await ingest(cache, DATA)
        await read_back(cache, DIGEST)
        refuse(root, "UPDATE OF used")


async def test_a_cache_directory_that_is_taken_away_is_no_space(root: Path) -> None:
    """Clients are then served from the origin, unstored."""
    async with make_cache(root, reserve=1) as cache:
        arrival = await cache.arrive(DIGEST, len(DATA))
        shutil.rmtree(root)
        with pytest.raises(NoSpace, match="cannot use"):
            cache.reserve(arrival, [0])


async def test_a_file_in_the_place_of_the_cache_is_a_start_error(root: Path) -> None:
    """The error names the path."""
    overwrite(root, b"a file")
    with pytest.raises(StartError, match=str(root)):
        await make_cache(root).__aenter__()


async def test_a_lower_limit_waits_for_readers_only(root: Path) -> None:
    """What is read at that moment goes when it is closed; the rest goes at once."""
    async with make_cache(root) as cache:
        first = await ingest(cache, content(2 * MIB, 1))
        await ingest(cache, content(2 * MIB, 2))
        reader = cache.open(first)
        assert reader is not None
        cache.resize(MIB)
        assert cache.limit == MIB
        assert set(cache.blobs()) == {first}
        cache.check()
        with pytest.raises(NoSpace):
            await ingest(cache, content(MIB, 3))
        assert await reader.read() == content(2 * MIB, 1)
        reader.close()
        assert not cache.blobs()
        assert bytes_on_disk(root) == 0
        await ingest(cache, content(MIB, 3))


async def test_a_lower_limit_meets_an_arrival(root: Path) -> None:
    """What arrives above a limit that was lowered meanwhile is not kept."""
    async with make_cache(root) as cache:
        data = content(2 * MIB, 1)
        arrival = await cache.arrive(digest_of(data), len(data))
        await bring(cache, arrival, data)
        cache.resize(MIB)
        await arrival.verify()
        await cache.commit(arrival, b"le")
        cache.check()
        assert not cache.blobs()


def outdate(root: Path, digest: Digest) -> None:
    """Make a blob one that a node of another layout has committed."""
    marker = blob_directory(root, digest).path / "whole"
    content = json.loads(marker.read_bytes())
    marker.write_text(json.dumps({**content, "layout": LAYOUT_VERSION - 1}))


async def test_blobs_of_another_layout_are_dropped_with_one_line(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An upgrade is no damage, and needs nobody's attention."""
    async with make_cache(root) as cache:
        digests = [await ingest(cache, content(MIB, seed)) for seed in range(3)]
    for digest in digests:
        outdate(root, digest)
    caplog.set_level("INFO")
    async with make_cache(root) as cache:
        assert not cache.blobs()
        cache.check()
    assert bytes_on_disk(root) == 0
    (line,) = [each for each in caplog.records if each.levelname != "DEBUG"]
    assert line.levelname == "INFO"
    assert line.getMessage().startswith("3 blobs of another layout (3.0 MiB) are dropped")
    caplog.clear()
    async with make_cache(root):
        assert not caplog.records


async def test_a_pin_outlives_a_blob_of_another_layout(root: Path) -> None:
    """However often the node starts and the blob fails to come, it is kept when it does."""
    async with make_cache(root) as cache:
        await ingest(cache, DATA)
        await cache.keep(DIGEST, kept=True)
    outdate(root, DIGEST)
    async with make_cache(root) as cache:
        assert not cache.is_kept(DIGEST)
        await cache.discard(await cache.arrive(DIGEST, len(DATA)))
    async with make_cache(root) as cache:
        await ingest(cache, DATA)
        assert cache.is_kept(DIGEST)
        cache.check()
    async with make_cache(root) as cache:
        assert cache.is_kept(DIGEST)


async def test_a_pin_of_a_blob_that_is_to_come_again_can_be_taken_away(root: Path) -> None:
    """Others that are not here cannot be unpinned, nor pinned."""
    async with make_cache(root) as cache:
        await ingest(cache, DATA)
        await cache.keep(DIGEST, kept=True)
    outdate(root, DIGEST)
    async with make_cache(root) as cache:
        assert not await cache.keep(DIGEST, kept=True)
        assert await cache.keep(DIGEST, kept=False)
        assert not await cache.keep(DIGEST, kept=False)
        await ingest(cache, DATA)
        assert not cache.is_kept(DIGEST)


async def test_a_limit_below_what_is_kept_is_refused(root: Path) -> None:
    """People have said that it stays: they hear of it, and nothing changes."""
    async with make_cache(root, limit=8 * MIB) as cache:
        kept, other = [await ingest(cache, content(2 * MIB, seed)) for seed in (1, 2)]
        await cache.keep(kept, kept=True)
        with pytest.raises(NoSpace, match="unpin"):
            cache.resize(MIB)
        assert (cache.limit, set(cache.blobs())) == (8 * MIB, {kept, other})
    async with make_cache(root, limit=MIB) as cache:
        assert set(cache.blobs()) == {kept}
        await cache.keep(kept, kept=False)
        assert not cache.blobs()
