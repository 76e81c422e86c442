"""Blobs on their way through this node: one transfer per digest, whoever asked and wherever from.

A transfer joins an arrival (bytes for readers), the torrents of its segments (bytes for peers) and
a *source* that fills it: the swarm, the origin, or both in turn. Everybody who wants the same
digest shares it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, Self

from eagle_node.base.digest import Digest
from eagle_node.base.errors import Denied, EagleError, Unavailable, WrongContent
from eagle_node.base.ids import InfoHash
from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.arrival import Arrival, Phase
from eagle_node.blobs.cache import Cache
from eagle_node.blobs.parts import PartWriter
from eagle_node.blobs.segments import layout_of
from eagle_node.metrics.instruments import Metrics
from eagle_node.runtime.tasks import TaskSet
from eagle_node.swarm.lender import Lender
from eagle_node.swarm.session import Swarm
from eagle_node.swarm.torrents import (
    SegmentTorrent,
    make_torrent,
    make_whole_torrent,
    pack_torrents,
    parse_torrent,
    unpack_torrents,
)

log = logging.getLogger(__name__)

INLINE_LIMIT = 128 << 10
"""Blobs up to this many bytes travel whole with the seeder's answer: no swarm is as quick."""

_MOST_SOURCES = 8
"""Rights that a transfer knows of: a reader renews his token every few minutes."""

LINGER_S = 20.0
"""How long a partly filled transfer waits for another range before it is suspended."""


class Transfer:
    """One blob on its way. ``opened`` resolves once its size is known and room has been found."""

    def __init__(self, digest: Digest, cache: Cache, swarm: Swarm) -> None:
        self.digest = digest
        self._cache = cache
        self._swarm = swarm
        self._arrival: Arrival | None = None
        self._whole = False
        self.closing = False
        """It will not deliver any more; a new one may start once it has finished."""
        self.torrents: dict[int, SegmentTorrent] = {}
        """Of the segments that are here, seeded."""
        self.fetching: dict[InfoHash, int] = {}
        """Segments that come from the swarm now, by their torrents."""
        self.opened: asyncio.Future[Arrival] = asyncio.get_running_loop().create_future()
        self.opened.add_done_callback(_retrieved)
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.finished.add_done_callback(_retrieved)
        self.finished.add_done_callback(lambda _: self.publish())
        self.asked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done once somebody wants the blob; until then it is fetched ahead of demand."""
        self._sources: OrderedDict[Hashable, Source] = OrderedDict()
        """By the rights that they fetch with: the one in use, then those that stand by."""
        self._published: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._beginning = asyncio.Lock()

    async def wait_opened(self) -> Arrival:
        """The result of ``opened``; a caller that is cancelled leaves it to the others."""
        return await asyncio.shield(self.opened)

    async def wait_finished(self) -> None:
        """The result of ``finished``; a caller that is cancelled leaves it to the others."""
        await asyncio.shield(self.finished)

    @property
    def arrival(self) -> Arrival:
        """The arrival; only after `begin`."""
        assert self._arrival is not None, "begin() comes first"
        return self._arrival

    @property
    def swarmed(self) -> bool:
        """Whether the blob is large enough to travel in segments; only after `begin`."""
        return self.arrival.layout.size > INLINE_LIMIT

    @property
    def begun(self) -> bool:
        """Whether the size is known."""
        return self._arrival is not None

    @property
    def piecemeal(self) -> bool:
        """Whether less than the whole has to come: some is here already, or some is wanted."""
        return not self._whole or self._cache.resumable(self.digest) is not None

    def published(self) -> asyncio.Future[Any]:
        """Done at the next change of ``torrents``, or when the transfer ends."""
        if self._published.done():
            self._published = asyncio.get_running_loop().create_future()
        return self._published

    def publish(self) -> None:
        """Wake those who wait for torrents."""
        if not self._published.done():
            self._published.set_result(None)

    @property
    def source(self) -> Source:
        """What fills it."""
        return next(iter(self._sources.values()))

    def stand_by(self, claim: Hashable, source: Source) -> None:
        """``source`` could fill it as well; the latest of many are remembered."""
        if claim in self._sources:
            return
        self._sources[claim] = source
        if len(self._sources) > _MOST_SOURCES:
            del self._sources[list(self._sources)[1]]

    def change_source(self) -> bool:
        """The source in use is refused: the latest other one is in use then, if there is one.

        Only once the transfer has opened: until then the refusal is for who asked for it.
        """
        if not self.opened.done() or len(self._sources) < 2:
            return False
        self._sources.popitem(last=False)
        self._sources.move_to_end(next(reversed(self._sources)), last=False)
        return True

    def ask(self) -> None:
        """Somebody wants the blob now."""
        if not self.asked.done():
            self.asked.set_result(None)

    def want_whole(self) -> None:
        """Ask for all segments, not only for those that readers wait for."""
        self._whole = True
        if self._arrival is not None:
            self._arrival.want_whole()

    def want_ranges(self) -> None:
        """Whoever asks first reads ranges: what was to be fetched ahead for him is too much."""
        self._whole = False
        if self._arrival is not None:
            self._arrival.want_ranges()

    async def begin(self, size: int) -> Arrival:
        """The source has learnt the blob's size; harmless when repeated with the same size.

        One that was cancelled, or found no room, is taken up again by the next.
        """
        async with self._beginning:
            if self._arrival is None:
                self._arrival = await self._cache.arrive(self.digest, size)
            arrival = self._arrival
            if arrival.layout.size != size:
                raise Unavailable(
                    f"sources disagree on the size of {self.digest}: {arrival.layout.size} and "
                    f"{size}"
                )
            if not self.opened.done():
                if self._whole:
                    arrival.want_whole()
                    self._cache.reserve(arrival, range(len(arrival.layout.segments)))
                for index in sorted(arrival.resumed - self.torrents.keys()):
                    await self._offer(index, None)
                self.opened.set_result(arrival)
        return arrival

    def reserve(self, *indices: int) -> None:
        """Make room for segments whose bytes are about to come (`NoSpace`)."""
        self._cache.reserve(self.arrival, indices)

    async def segment_written(self, index: int, torrent: SegmentTorrent | None = None) -> None:
        """The file of a segment is whole: offer it to peers, then to readers and restarts.

        ``torrent`` is given by a source that already has it in the swarm.
        """
        await self._offer(index, torrent)
        await self._cache.segment_done(self.arrival, index)

    def part(self, run: ByteRange) -> PartWriter:
        """A writer of bytes of one segment; `part_written` follows."""
        return PartWriter(self._cache, self.arrival, run)

    async def part_written(self, run: ByteRange) -> None:
        """Bytes of a part are here; a segment that they complete is offered like any other."""
        index = self.arrival.layout.at(run.start).index
        if self.arrival.parts_complete(index):
            self.arrival.writing.add(index)
            self._cache.promote(self.arrival, index)
            await self.segment_written(index)

    async def _offer(self, index: int, torrent: SegmentTorrent | None) -> None:
        if torrent is None:
            if not self.swarmed:
                return
            segment = self.arrival.layout.segments[index]
            torrent = await asyncio.to_thread(
                make_torrent,
                self.arrival.directory,
                segment,
                root_certificate=self._swarm.root_certificate,
            )
            self._swarm.seed(torrent, self.arrival.directory.path)
        self.torrents[index] = torrent
        self.publish()


Source = Callable[[Transfer], Awaitable[None]]
"""Fills a transfer: calls `begin`, then `segment_written` for each segment that is missing, and
`part_written` for each missing part.

Returns when nothing that is wanted is missing, raises an `EagleError` when it cannot go on.
"""


class Transfers:
    """All transfers of this node, and the seeding of what the cache holds; an async context."""

    def __init__(
        self,
        cache: Cache,
        swarm: Swarm,
        metrics: Metrics,
        *,
        most_torrents: int,
        linger_s: float = LINGER_S,
    ) -> None:
        self._cache = cache
        self._swarm = swarm
        self._metrics = metrics
        self._most_torrents = most_torrents
        self._linger_s = linger_s
        self._running: dict[Digest, Transfer] = {}
        self._seeded: dict[Digest, list[SegmentTorrent]] = {}
        self._whole: dict[Digest, InfoHash] = {}
        self._tasks = TaskSet()
        self.lender: Lender | None = None
        """Offers the blobs that lie in files of others."""
        self.on_start: list[Callable[[Transfer], None]] = []
        """Called with each transfer at its start."""
        cache.on_drop.append(self._withdraw)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.cancel()

    def running(self) -> dict[Digest, Transfer]:
        """Transfers under way."""
        return dict(self._running)

    def get(self, digest: Digest) -> Transfer | None:
        """The transfer of ``digest``, if it is under way."""
        return self._running.get(digest)

    def seeded(self) -> dict[Digest, list[SegmentTorrent]]:
        """Committed blobs that are offered to peers, with their torrents."""
        return dict(self._seeded)

    def lent(self) -> dict[Digest, Sequence[SegmentTorrent]]:
        """Blobs that are offered to peers at the lender's port only, with their torrents."""
        offered = self.lender.offered() if self.lender is not None else {}
        return {
            digest: torrents for digest, torrents in offered.items() if digest not in self._seeded
        }

    def port_of(self, digest: Digest) -> int:
        """Where peers get a blob, if not at the swarm's listener; else 0."""
        if self.lender is None or self._cache.is_resident(digest) or digest in self._running:
            return 0
        return self.lender.port

    def is_drawn_from(self, digest: Digest) -> bool:
        """Whether peers want something of a blob now."""
        hashes = [torrent.info_hash for torrent in self._seeded.get(digest, ())]
        if digest in self._whole:
            hashes.append(self._whole[digest])
        return self._swarm.is_drawn_from(hashes)

    async def ready(self, digest: Digest) -> None:
        """Have the cache lent what lies elsewhere on this host; before rights are looked at."""
        if self.lender is not None and digest not in self._cache and digest not in self._running:
            await self.lender.ready(digest)

    async def start(
        self,
        digest: Digest,
        source: Source,
        *,
        whole: bool,
        ahead: bool = False,
        claim: Hashable = None,
    ) -> Transfer | None:
        """The transfer of ``digest``, started with ``source`` unless it is under way already.

        In that case ``source`` stands by: it goes on when the one in use is refused, as one is
        whose reader's token has expired. ``claim`` tells the rights that a source fetches with from
        others; one of each stands by. ``ahead``: nobody wants it yet, as far as this caller knows.
        None when the cache has the blob by now: whoever looked there before may have waited since.
        """
        while (transfer := self._running.get(digest)) is not None and transfer.closing:
            await asyncio.wait([transfer.finished])
        if transfer is None:
            if digest in self._cache:
                return None
            transfer = Transfer(digest, self._cache, self._swarm)
            transfer.stand_by(claim, source)
            self._running[digest] = transfer
            for listener in self.on_start:
                listener(transfer)
            self._tasks.spawn(self._run(transfer), name=f"transfer-{digest[7:19]}")
        else:
            transfer.stand_by(claim, source)
        if whole:
            transfer.want_whole()
        elif not transfer.asked.done():
            transfer.want_ranges()
        if not ahead:
            transfer.ask()
        return transfer

    async def torrents_of(self, digest: Digest) -> Sequence[SegmentTorrent]:
        """The torrents of a whole blob, offered from now on; made again when they were lost."""
        if self.lender is not None and not self._cache.is_resident(digest):
            return await self.lender.torrents_of(digest)
        if digest not in self._seeded:
            resident = self._cache.blobs().get(digest)
            if resident is None:
                raise Unavailable(f"{digest} is not in the cache")
            torrents = await asyncio.to_thread(self._load, digest, resident.size)
            if digest not in self._cache:
                raise Unavailable(f"{digest} was evicted meanwhile")
            self._offer(digest, torrents)
        return self._seeded[digest]

    async def whole_torrent(self, digest: Digest, trackers: Sequence[str]) -> bytes:
        """Metainfo of a whole committed blob, for other BitTorrent clients; seeded from now on."""
        directory = self._cache.directory(digest)
        resident = self._cache.blobs().get(digest)
        if resident is None:
            raise Unavailable(f"{digest} is not in the cache")
        layout = layout_of(resident.size)
        info_hash, metainfo = await asyncio.to_thread(
            make_whole_torrent,
            directory,
            layout,
            trackers,
            root_certificate=self._swarm.root_certificate,
        )
        self._swarm.seed_whole(info_hash, metainfo, directory.path.parent)
        self._whole[digest] = info_hash
        return metainfo

    async def seed_cache(self) -> None:
        """Offer what the cache holds, most recently used first, up to the torrent limit."""
        for digest, resident in reversed(self._cache.blobs().items()):
            if len(self._swarm) + len(layout_of(resident.size).segments) > self._most_torrents:
                log.info("seeding %d torrents; older blobs wait for use", len(self._swarm))
                return
            try:
                await self.torrents_of(digest)
            except EagleError as error:
                log.warning("cannot seed %s: %s", digest, error)

    async def _run(self, transfer: Transfer) -> None:
        started = time.monotonic()
        try:
            await self._fill(transfer)
            if transfer.arrival.phase is Phase.VERIFIED:
                await self._commit(transfer)
                self._metrics.blob_seconds.observe(time.monotonic() - started)
            else:
                await self._close(transfer, Unavailable(f"{transfer.digest} was suspended"))
            transfer.finished.set_result(None)
        except EagleError as error:
            self._metrics.blob_failures.labels(type(error).__name__).inc()
            level = logging.INFO if isinstance(error, Denied) else logging.WARNING
            log.log(level, "fetching %s failed: %s", transfer.digest, error)
            await self._close(transfer, error)
            transfer.finished.set_exception(error)
        finally:
            try:
                if not transfer.finished.done():
                    await self._abandon(transfer)
            finally:
                self._running.pop(transfer.digest, None)

    async def _fill(self, transfer: Transfer) -> None:
        """Run a source until the blob is verified, or nobody wants more of it for a while."""
        verifier = asyncio.create_task(_verify(transfer), name=f"verify-{transfer.digest[7:19]}")
        try:
            while True:
                try:
                    await transfer.source(transfer)
                except Denied as error:
                    if not transfer.change_source():
                        raise
                    log.info("%s goes on with another reader's rights: %s", transfer.digest, error)
                    continue
                arrival = transfer.arrival
                if arrival.complete:
                    await verifier
                    if arrival.error is not None:
                        raise arrival.error
                    return
                if not await _more_wanted(arrival, self._linger_s):
                    transfer.closing = True
                    return
        finally:
            verifier.cancel()
            await asyncio.gather(verifier, return_exceptions=True)

    async def _commit(self, transfer: Transfer) -> None:
        count = len(transfer.arrival.layout.segments)
        torrents = [transfer.torrents[index] for index in range(count) if transfer.torrents]
        await self._cache.commit(transfer.arrival, pack_torrents(torrents))
        if transfer.digest in self._cache:
            self._seeded[transfer.digest] = torrents
            self._trim(transfer.digest)

    async def _close(self, transfer: Transfer, error: EagleError) -> None:
        """Tell everybody who waits that no more bytes come; keep what may be resumed."""
        transfer.closing = True
        if not transfer.opened.done():
            transfer.opened.set_exception(error)
        if transfer.begun:
            transfer.arrival.fail(error)
            if isinstance(error, WrongContent):
                self._metrics.wrong_content.labels(transfer.arrival.source).inc()
            await self._cache.suspend(transfer.arrival)

    async def _abandon(self, transfer: Transfer) -> None:
        """It was cancelled, or hit a fault of ours: whoever waits must not wait for ever."""
        error = Unavailable(f"the transfer of {transfer.digest} was given up")
        try:
            await self._close(transfer, error)
        finally:
            transfer.finished.set_exception(error)

    def _load(self, digest: Digest, size: int) -> list[SegmentTorrent]:
        directory = self._cache.directory(digest)
        if size <= INLINE_LIMIT:
            return []
        segments = layout_of(size).segments
        root = self._swarm.root_certificate
        try:
            kept = unpack_torrents(directory.torrents.read_bytes())
        except OSError:
            kept = []
        if len(kept) == len(segments):
            try:
                return [
                    parse_torrent(metainfo, digest, segment, root_certificate=root)
                    for metainfo, segment in zip(kept, segments, strict=True)
                ]
            except WrongContent:
                log.info("metainfo of %s is of another cluster or version; made again", digest)
        return [make_torrent(directory, segment, root_certificate=root) for segment in segments]

    def _offer(self, digest: Digest, torrents: list[SegmentTorrent]) -> None:
        self._seeded[digest] = torrents
        for torrent in torrents:
            self._swarm.seed(torrent, self._cache.directory(digest).path)
        self._trim(digest)

    def _trim(self, newest: Digest) -> None:
        """Hold the limit of torrents: blobs that were not used for long are no longer offered."""
        if len(self._swarm) <= self._most_torrents:
            return
        for digest in self._cache.blobs():
            if len(self._swarm) <= self._most_torrents:
                return
            if digest != newest:
                for torrent in self._seeded.pop(digest, []):
                    self._swarm.remove(torrent.info_hash)

    def _withdraw(self, digest: Digest) -> None:
        """The cache is about to delete a blob's files."""
        torrents = self._seeded.pop(digest, [])
        if (transfer := self._running.get(digest)) is not None:
            torrents = [*torrents, *transfer.torrents.values()]
        for torrent in torrents:
            self._swarm.remove(torrent.info_hash)
        if (whole := self._whole.pop(digest, None)) is not None:
            self._swarm.remove(whole)


async def _verify(transfer: Transfer) -> None:
    await asyncio.wait([transfer.opened])
    if transfer.begun:
        await transfer.arrival.verify()


async def _more_wanted(arrival: Arrival, linger_s: float) -> bool:
    """Wait until somebody wants what is missing; False after a while without readers."""
    while not arrival.wants_more():
        try:
            async with asyncio.timeout(None if arrival.readers else linger_s):
                await arrival.changed()
        except TimeoutError:
            if not arrival.readers:
                return arrival.wants_more()
    return True


def _retrieved(future: asyncio.Future[Any]) -> None:
    """Mark an exception as seen: waiters get it, and there may be none."""
    if not future.cancelled():
        future.exception()
