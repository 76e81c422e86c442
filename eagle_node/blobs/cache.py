"""The cache of one node: a hard byte limit, least recently used out, never what is being read."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Self

from eagle_node.base.digest import Digest
from eagle_node.base.errors import NoSpace, StartError, Unavailable, WrongContent
from eagle_node.base.ranges import ByteRange
from eagle_node.base.sizes import format_size
from eagle_node.blobs import files
from eagle_node.blobs.arrival import Arrival, Phase
from eagle_node.blobs.eviction import Resident
from eagle_node.blobs.index import ArrivingRow, Index
from eagle_node.blobs.lent import Changed, LentFile, LentReader
from eagle_node.blobs.reader import BlobReader
from eagle_node.blobs.reservations import Reservations
from eagle_node.blobs.residents import Residents
from eagle_node.blobs.room import Room
from eagle_node.blobs.segments import MAX_SIZE, layout_of
from eagle_node.blobs.survey import content_is_right, survey
from eagle_node.config.tree import CacheConfig
from eagle_node.metrics.instruments import Metrics
from eagle_node.runtime.tasks import TaskSet
from eagle_node.runtime.threads import finish_in_thread
from eagle_node.store.memory import Memory

log = logging.getLogger(__name__)

_RECENCY_FLUSH_S = 5.0
"""Between two writes of what was used: a kill forgets no more."""


class Cache:
    """Committed and arriving blobs under ``root``; an async context manager.

    Invariant: ``used`` (committed bytes, plus what arrivals have reserved) never exceeds the
    limit, and reservations leave the configured reserve of the file system alone. When the limit
    is lowered, what is being read then, or arrives, goes as soon as nobody reads it; until then
    nothing else comes in.
    """

    def __init__(
        self,
        config: CacheConfig,
        root: Path,
        metrics: Metrics,
        *,
        recency_flush_s: float = _RECENCY_FLUSH_S,
    ) -> None:
        self._root = root
        self._metrics = metrics
        self._recency_flush_s = recency_flush_s
        self._recency = Memory("when blobs were last used")
        self._index = Index(root / "index.sqlite")
        self._residents = Residents()
        self._resumable: dict[Digest, ArrivingRow] = {}
        """Blobs that nobody works on, of which verified bytes are here."""
        self._arrivals: dict[Digest, Arrival] = {}
        self._reserved = Reservations()
        self._room = Room(config, root, self._residents, self._reserved)
        self._lent: dict[Digest, LentFile] = {}
        """Whole blobs in files of others; some may be residents as well."""
        self._is_above = False
        """Whether a lower limit waits for readers and arrivals to end."""
        self._tasks = TaskSet()
        self.on_commit: list[Callable[[Digest], None]] = []
        """Called after a blob has become visible."""
        self.on_drop: list[Callable[[Digest], None]] = []
        """Called before a blob's files (whole or arriving) are deleted."""
        self.on_recall: list[Callable[[Digest], None]] = []
        """Called when a lent blob turns out to be gone or changed."""

    async def __aenter__(self) -> Self:
        try:
            self._root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StartError(
                f"cannot use cache directory {self._root}: {error.strerror}"
            ) from error
        await self._index.__aenter__()
        try:
            await self._reconcile()
        except BaseException:
            await self._index.__aexit__()
            raise
        self._tasks.spawn(self._flush_recency(), name="cache-recency")
        self._trim()
        if self._is_above:
            log.warning("pinned blobs take more room than --cache-size: no other ones are kept")
        self._gauge()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_above = False
        await self._tasks.cancel()
        try:
            await self._note_use()
        finally:
            await self._index.__aexit__()

    @property
    def limit(self) -> int:
        """Bytes; 0 is none."""
        return self._room.limit

    @property
    def used(self) -> int:
        """Bytes of committed blobs, of what arrivals have reserved, and of what is held."""
        return self._room.used

    def __contains__(self, digest: Digest) -> bool:
        return digest in self._residents or digest in self._lent

    def __len__(self) -> int:
        return len(self._residents)

    def blobs(self) -> dict[Digest, Resident]:
        """Committed blobs, most recently used last."""
        return self._residents.by_use()

    def arrivals(self) -> dict[Digest, Arrival]:
        """Blobs on their way."""
        return dict(self._arrivals)

    def lent(self) -> dict[Digest, LentFile]:
        """Blobs that lie in files of others: they take no room here, and are not evicted."""
        return dict(self._lent)

    def lend(self, lent: LentFile) -> None:
        """A verified blob lies in a file of somebody else's, and may be read from there."""
        self._lent[lent.digest] = lent

    def recall(self, digest: Digest) -> None:
        """A lent file is gone, or not to be trusted any more; who reads it reads what he has."""
        self._lent.pop(digest, None)

    def is_resident(self, digest: Digest) -> bool:
        """Whether a committed blob lies in files of the cache's own."""
        return digest in self._residents

    def is_read(self, digest: Digest) -> bool:
        """Whether somebody reads the cache's own copy, whole or arriving."""
        return self._residents.is_pinned(digest) or digest in self._arrivals

    def size(self, digest: Digest) -> int:
        """Bytes of a blob that is whole; `KeyError` when there is none."""
        return (self._residents if digest in self._residents else self._lent)[digest].size

    def is_kept(self, digest: Digest) -> bool:
        """Whether a blob is not evicted, because somebody said so."""
        return self._residents.is_kept(digest)

    async def keep(self, digest: Digest, *, kept: bool) -> bool:
        """Never evict a committed blob, or do so again; survives restarts. False: it is not here.

        Blobs that are kept count against the limit; when nothing else is left to evict, new ones
        find no room.
        """
        is_awaited = self._residents.is_awaited(digest)
        if digest not in self._residents and (kept or not is_awaited):
            return False
        self._residents.keep([digest], kept=kept)
        await self._index.pin(digest, kept=kept)
        if self._is_above:
            self._trim()
            self._gauge()
        return True

    def resize(self, size: int) -> None:
        """Another limit, 0 for none; `NoSpace` when the blobs that are kept need more.

        Evicts what is above it, now or as soon as nobody reads it any more.
        """
        kept = self._residents.kept_size
        if 0 < size < kept:
            raise NoSpace(
                f"pinned blobs hold {format_size(kept)}, more than {format_size(size)}: unpin or "
                "evict some of them first"
            )
        self._room.limit = size
        self._trim()
        self._gauge()

    async def verify(self, digest: Digest) -> bool:
        """Read a committed blob again; False: it is wrong, and gone. Raises `KeyError` if absent.

        Whoever reads it meanwhile goes on reading what there is.
        """
        size = self._residents[digest].size
        reader = self.open(digest)
        assert reader is not None
        try:
            right = await asyncio.to_thread(content_is_right, self.directory(digest), size)
        finally:
            reader.close()
        if not right and digest in self._residents:
            log.error("cached blob %s is damaged on disk; dropped", digest)
            self._metrics.wrong_content.labels("local").inc()
            self._drop_now(digest)
        return right

    def check_room(self) -> None:
        """Raise `NoSpace` when not even a byte could be taken in."""
        self._room.check()

    def resumable(self, digest: Digest) -> int | None:
        """Size of a blob of which verified segments were kept; None when there are none."""
        row = self._resumable.get(digest)
        return row.size if row is not None and row.segments else None

    def directory(self, digest: Digest) -> files.BlobDirectory:
        """Where a blob lies or arrives."""
        return files.blob_directory(self._root, digest)

    def open(self, digest: Digest) -> BlobReader | None:
        """A pinned reader of a committed, lent or arriving blob; None when there is none."""
        if digest in self._residents:
            self._residents.touch(digest)
            return self._reader(digest, self._residents[digest].size, None)
        if (lent := self._lent.get(digest)) is not None:
            try:
                return LentReader(lent, self.directory(digest))
            except Changed as error:
                log.info("%s is not served from there any more: %s", digest, error)
                self.recall(digest)
                for listener in self.on_recall:
                    listener(digest)
        arrival = self._arrivals.get(digest)
        if arrival is not None and arrival.phase is not Phase.FAILED:
            return self._reader(digest, arrival.layout.size, arrival)
        return None

    async def arrive(self, digest: Digest, size: int) -> Arrival:
        """Start (or resume) the arrival of a blob of ``size`` bytes; nothing more is reserved yet.

        Segments that are kept from an earlier arrival are there already, if they are intact.
        """
        assert digest not in self._residents
        assert digest not in self._arrivals
        if size > MAX_SIZE:
            raise Unavailable(f"{digest} is said to have {size} bytes; no blob has")
        row = self._resumable.pop(digest, None)
        if row is not None and row.size != size:
            row = None
        kept = row.segments if row is not None else frozenset()
        parts = row.parts if row is not None else ()
        arrival = Arrival(self.directory(digest), layout_of(size), kept, parts)
        self._arrivals[digest] = arrival
        self._reserved.begin(arrival, kept, parts)
        try:
            intact = await finish_in_thread(
                arrival.directory.prune, size, kept, arrival.parted_segments()
            )
            await self._index.begin(digest, size)
        except OSError as error:
            self._forget_arrival(digest)
            raise NoSpace(f"cannot use {arrival.directory.path}: {error.strerror}") from error
        except BaseException:
            self._forget_arrival(digest)
            self._remember(digest, size, kept, parts)
            raise
        arrival.keep_only(intact)
        self._reserved.keep_only(digest, intact)
        return arrival

    def reserve(self, arrival: Arrival, numbers: Iterable[int]) -> None:
        """Make room for segments before their bytes come; `NoSpace` says why there is none."""
        wanted = tuple(numbers)
        if needed := self._reserved.lacking(arrival, wanted):
            self._make_room(needed, blob=arrival.digest)
            self._reserved.add(arrival.digest, wanted)
            self._gauge()

    def reserve_part(self, arrival: Arrival, run: ByteRange) -> None:
        """Make room for bytes of one segment; `NoSpace` says why there is none."""
        if self._reserved.has_segment(arrival.digest, arrival.layout.at(run.start).index):
            return
        if needed := self._reserved.lacking_of_part(arrival.digest, run):
            self._make_room(needed, blob=arrival.digest)
            self._reserved.add_part(arrival.digest, run)
            self._gauge()

    @contextlib.asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[BinaryIO]:
        """A file of ``size`` bytes for content without a digest yet, gone when the block ends.

        It has its room on the disk from the start; `NoSpace` says why there is none.
        """
        self._make_room(size)
        self._room.held += size
        try:
            try:
                file = await finish_in_thread(files.allocate, self._root, size)
            except OSError as error:
                raise NoSpace(f"cannot use {self._root}: {error.strerror}") from error
            with file:
                yield file
        finally:
            self._room.held -= size
            self._gauge()

    def promote(self, arrival: Arrival, index: int) -> None:
        """Make the parts of a segment, which cover it, the segment's file."""
        segment = arrival.layout.segments[index]
        run = ByteRange(segment.start, segment.stop)
        self._reserved.discard_part(arrival.digest, run)
        self.reserve(arrival, [index])
        try:
            os.replace(arrival.directory.part(index), arrival.directory.segment(index))
        except OSError as error:
            raise Unavailable(f"cannot use {arrival.directory.path}: {error.strerror}") from error
        arrival.parts.discard(run)
        arrival.grew(index, segment.length)

    async def segment_done(self, arrival: Arrival, index: int) -> None:
        """A segment's file is whole: readers may have it, and a restart keeps it."""
        if arrival.phase is not Phase.ARRIVING or index in arrival.have:
            return
        segment = arrival.layout.segments[index]
        run = ByteRange(segment.start, segment.stop)
        has_part_file = self._reserved.has_parts(arrival.digest, run) or (
            arrival.parts.intersects(run)
        )
        arrival.completed(index)
        self._reserved.discard_part(arrival.digest, run)
        if has_part_file:
            with contextlib.suppress(OSError):
                arrival.directory.part(index).unlink(missing_ok=True)
        await self._index.segments_verified(arrival.digest, [index])

    async def segment_lost(self, arrival: Arrival, index: int) -> None:
        """The file of a segment that was whole cannot be read: it has to come again."""
        if arrival.phase is not Phase.ARRIVING or index not in arrival.have:
            return
        with contextlib.suppress(OSError):
            arrival.directory.segment(index).unlink(missing_ok=True)
        arrival.dropped(index)
        await self._index.segments_lost(arrival.digest, [index])

    async def commit(self, arrival: Arrival, torrents: bytes) -> None:
        """Make a VERIFIED arrival visible: marker by atomic rename, then the index.

        The marker is what counts: a blob that the index cannot take is hashed at the next start.
        """
        assert arrival.phase is Phase.VERIFIED
        digest, size = arrival.digest, arrival.layout.size
        try:
            await asyncio.to_thread(arrival.directory.commit, size, torrents)
        except OSError as error:
            raise NoSpace(f"cannot commit {digest}: {error.strerror}") from error
        self._forget_arrival(digest)
        used = self._residents.add(digest, size)
        try:
            await self._index.commit(digest, size, used)
        except Unavailable as error:
            log.warning("cannot remember that %s is whole: %s", digest, error)
        if digest in self._residents:
            self._tasks.spawn(self._flush(digest), name=f"flush-{digest[7:19]}")
            for listener in self.on_commit:
                listener(digest)
        self._trim()

    async def suspend(self, arrival: Arrival) -> None:
        """Nobody works on an arrival any more: keep its whole segments for a later resumption."""
        digest, size = arrival.digest, arrival.layout.size
        if digest not in self._arrivals:
            return
        parts = tuple(arrival.parts)
        if isinstance(arrival.error, WrongContent) or not (arrival.have or parts):
            await self.discard(arrival)
            return
        for listener in self.on_drop:
            listener(digest)
        try:
            await finish_in_thread(
                arrival.directory.prune, size, arrival.have, arrival.parted_segments()
            )
            # Again, since whoever said so segment by segment may have been cancelled meanwhile.
            await self._index.segments_verified(digest, arrival.have)
        except OSError as error:
            log.warning("cannot clean up %s: %s", arrival.directory.path, error)
        finally:
            self._forget_arrival(digest)
            self._remember(digest, size, frozenset(arrival.have), parts)

    async def discard(self, arrival: Arrival) -> None:
        """Drop an arrival and its bytes."""
        for listener in self.on_drop:
            listener(arrival.digest)
        try:
            await finish_in_thread(arrival.directory.remove)
            await self._index.lost([arrival.digest])
        finally:
            self._forget_arrival(arrival.digest)

    async def drop(self, digest: Digest, *, spare: bool = False) -> bool:
        """Remove a committed blob that nobody reads; False when it is in use or not there.

        ``spare``: it lies elsewhere as well, so this is no eviction.
        """
        if digest not in self._residents or self._residents.is_pinned(digest):
            return False
        self._drop_now(digest, spare=spare)
        return True

    def check(self) -> None:
        """Assert the invariants."""
        assert not any(digest in self._residents for digest in self._arrivals)
        self._reserved.check(self._arrivals)
        assert self.limit == 0 or self.used <= self.limit or self._is_above
        assert not (self._is_above and self._residents.as_far_as_possible(1))
        for arrival in self._arrivals.values():
            arrival.check()

    def _reader(self, digest: Digest, size: int, arrival: Arrival | None) -> BlobReader:
        self._residents.pin(digest)
        unpin = partial(self._unpin, digest)
        return BlobReader(self.directory(digest), layout_of(size), arrival, unpin)

    def _unpin(self, digest: Digest) -> None:
        self._residents.unpin(digest)
        if self._is_above and not self._residents.is_pinned(digest):
            self._trim()
            self._gauge()

    def _remember(
        self,
        digest: Digest,
        size: int,
        segments: frozenset[int],
        parts: tuple[ByteRange, ...] = (),
    ) -> None:
        if segments or parts:
            self._resumable[digest] = ArrivingRow(
                digest=digest, size=size, segments=segments, parts=parts
            )
            self._gauge()

    def _forget_arrival(self, digest: Digest) -> None:
        self._arrivals.pop(digest, None)
        self._reserved.end(digest)
        if self._is_above:
            self._trim()
        self._gauge()

    def _trim(self) -> None:
        """Evict what is above the limit, as far as nobody reads it; remember whether more is."""
        self._drop_resumable(self._above())
        for digest in self._residents.as_far_as_possible(self._above()):
            self._drop_now(digest)
        self._is_above = self._above() > 0

    def _make_room(self, needed: int, blob: Digest | None = None) -> None:
        """Evict until ``needed`` more bytes fit under the limit and above the disk's reserve."""
        self._drop_resumable(self._short(needed))
        chosen = self._residents.victims(self._short(needed))
        if chosen is None:
            raise self._room.refusal(needed, wanted_for=blob or "a file")
        for digest in chosen:
            self._drop_now(digest)

    def _short(self, needed: int) -> int:
        return self._room.short(needed, self._resumable_size)

    def _above(self) -> int:
        return self._room.above(self._resumable_size)

    @property
    def _resumable_size(self) -> int:
        return sum(map(_held, self._resumable.values()))

    def _drop_resumable(self, short: int) -> None:
        for digest in list(self._resumable):
            if short <= 0:
                return
            short -= _held(self._resumable.pop(digest))
            self._delete(digest, self._index.lost([digest]))

    def _drop_now(self, digest: Digest, *, spare: bool = False) -> None:
        done = "dropped the copy of" if spare else "evicted"
        log.info("%s %s (%s)", done, digest, format_size(self._residents[digest].size))
        self._residents.remove(digest)
        if not spare:
            self._metrics.cache_evictions.inc()
        for listener in self.on_drop:
            listener(digest)
        self._delete(digest, self._index.forget(digest))
        self._gauge()

    def _delete(self, digest: Digest, forget: Coroutine[Any, Any, None]) -> None:
        """Hide a blob at once; free its bytes before anything else may take the room."""
        directory = self.directory(digest)
        with contextlib.suppress(OSError):
            directory.remove()
        self._tasks.spawn(forget, name=f"forget-{digest[7:19]}")

    def _gauge(self) -> None:
        self._metrics.cache_used_bytes.set(self.used)
        self._metrics.cache_limit_bytes.set(self.limit)
        self._metrics.cache_blobs.set(len(self._residents))

    async def _flush(self, digest: Digest) -> None:
        directory = self.directory(digest)
        try:
            await asyncio.to_thread(directory.sync)
        except OSError as error:
            if digest in self._residents:
                log.warning("cannot flush %s to disk: %s", digest, error)
            return
        await self._index.flushed(digest)

    async def _flush_recency(self) -> None:
        while True:
            await asyncio.sleep(self._recency_flush_s)
            await self._note_use()

    async def _note_use(self) -> None:
        touched = self._residents.take_touched()
        if touched and await self._recency.attempt(self._index.used(touched)) is None:
            self._residents.put_back(touched)

    async def _reconcile(self) -> None:
        """Make memory, index and disk agree; the disk's markers say what is whole."""
        rows = {row.digest: row for row in await self._index.committed()}
        arriving = {row.digest: row for row in await self._index.arriving()}
        try:
            found = await asyncio.to_thread(survey, self._root, rows, arriving)
        except OSError as error:
            raise StartError(
                f"cannot use cache directory {self._root}: {error.strerror}"
            ) from error
        for digest, row in rows.items():
            if (size := found.whole.get(digest)) is not None:
                self._residents.restore(digest, Resident(size=size, used=row.used))
                continue
            if digest not in found.outdated:
                log.warning("cached blob %s is gone or damaged; forgotten", digest)
                await self._index.forget(digest)
        await self._forget_outdated(found.outdated)
        for digest, size in found.whole.items():
            if digest not in rows:
                await self._index.commit(digest, size, self._residents.add(digest, size))
        self._residents.keep(await self._index.pinned(), kept=True)
        for digest, begun in found.resumable.items():
            self._remember(digest, begun.size, begun.segments)

    async def _forget_outdated(self, outdated: Mapping[Digest, int]) -> None:
        if outdated:
            await self._index.lost(outdated)
            log.info(
                "%d blobs of another layout (%s) are dropped, and fetched again when asked for",
                len(outdated),
                format_size(sum(outdated.values())),
            )


def _held(row: ArrivingRow) -> int:
    segments = layout_of(row.size).segments
    parts = sum(part.length for part in row.parts)
    return parts + sum(segments[index].length for index in row.segments)
