"""One blob on its way: an arrival (bytes for readers), torrents (bytes for peers), a source."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

from eagle_node.base.digest import Digest
from eagle_node.base.errors import Unavailable
from eagle_node.base.ids import InfoHash
from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.arrival import Arrival
from eagle_node.blobs.cache import Cache
from eagle_node.blobs.parts import PartWriter
from eagle_node.runtime.clock import monotonic
from eagle_node.runtime.tasks import finish
from eagle_node.swarm.session import Swarm
from eagle_node.swarm.torrents import SegmentTorrent, make_torrent

log = logging.getLogger(__name__)

INLINE_LIMIT = 128 << 10
"""Blobs up to this many bytes travel whole with the seeder's answer: no swarm is as quick."""

_MOST_SOURCES = 8
"""Rights that a transfer knows of: a reader renews his token every few minutes."""


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
        self.learnt: dict[int, SegmentTorrent] = {}
        """Of segments that another seeder told of, here or not."""
        self.fetching: dict[InfoHash, int] = {}
        """Segments that come from the swarm now, by their torrents."""
        self.opened: asyncio.Future[Arrival] = asyncio.get_running_loop().create_future()
        self.opened.add_done_callback(_retrieved)
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.finished.add_done_callback(_retrieved)
        self.finished.add_done_callback(lambda _: self.publish())
        self.asked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done once somebody wants the blob; until then it is fetched ahead of demand."""
        self.said_at = math.inf
        """When (`monotonic`) an origin said yes to the reader who began it; known once opened."""
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
    def word_age_s(self) -> float:
        """Seconds since an origin said yes to the reader who began it; only once opened."""
        return monotonic() - self.said_at

    def rests_on(self, age_s: float) -> None:
        """What opens it is no origin that sends, but its word of ``age_s`` ago."""
        if not self.opened.done():
            self.said_at = min(self.said_at, monotonic() - age_s)

    @property
    def swarmed(self) -> bool:
        """Whether the blob is large enough to travel in segments; only after `begin`."""
        return self.arrival.layout.size > INLINE_LIMIT

    @property
    def begun(self) -> bool:
        """Whether it has opened: the size is known, and room has been found."""
        opened = self.opened
        return opened.done() and not opened.cancelled() and opened.exception() is None

    @property
    def arrives(self) -> bool:
        """Whether there is an arrival, be it one that has found no room."""
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
                self.rests_on(0.0)
                self.opened.set_result(arrival)
        return arrival

    async def offer_resumed(self) -> None:
        """Offer the segments that were here at the start; those that cannot be read come again.

        Readers may have them before: to hash them takes as long as to read them from the disk.
        """
        for index in sorted(self.arrival.resumed - self.torrents.keys()):
            try:
                await self._offer(index, None)
            except Unavailable as error:
                log.warning("%s is fetched again in part: %s", self.digest, error)
                await self._cache.segment_lost(self.arrival, index)

    def reserve(self, *indices: int) -> None:
        """Make room for segments whose bytes are about to come (`NoSpace`)."""
        self._cache.reserve(self.arrival, indices)

    async def segment_written(self, index: int, torrent: SegmentTorrent | None = None) -> None:
        """The file of a segment is whole: offer it to peers, then to readers and restarts.

        ``torrent`` is given by a source that already has it in the swarm. Finishes when cancelled:
        who has written a segment may be given up, but nobody else would tell of it.
        """
        name = f"segment-{self.digest[7:19]}.{index:04d}"
        await finish(self._written(index, torrent), name=name)

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

    async def _written(self, index: int, torrent: SegmentTorrent | None) -> None:
        try:
            await self._offer(index, torrent)
            await self._cache.segment_done(self.arrival, index)
        except BaseException:
            self.arrival.lost(index)
            raise

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


def _retrieved(future: asyncio.Future[Any]) -> None:
    """Mark an exception as seen: waiters get it, and there may be none."""
    if not future.cancelled():
        future.exception()
