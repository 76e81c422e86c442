"""One blob on its way into the cache: segments come in any order, bytes go out in order.

Whoever brings bytes (the swarm, the origin) writes segment files and says so; readers wait for the
bytes that they need and say which; a verifier hashes the contiguous prefix as it grows. The last
bytes are held back until the whole digest is known to be right, so no client ever sees the clean
end of a wrong body. When only ranges are wanted nothing is held back: the digest would never be
known, and a client that asks for the tail alone (lazy pullers keep their index there) must get it.
Of segments of which little is wanted only parts are brought (`demand`): they lie in files of their
own until they cover their segment, and are for readers only, never for the swarm.
"""

from __future__ import annotations

import asyncio
import enum
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Set
from itertools import islice
from pathlib import Path

from eagle_node.base.digest import Digest
from eagle_node.base.errors import EagleError, Unavailable, WrongContent
from eagle_node.base.intervals import IntervalSet
from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.demand import Demand
from eagle_node.blobs.files import BlobDirectory
from eagle_node.blobs.segments import Layout, Segment
from eagle_node.metrics.instruments import Source

_HELD_BACK = 1
"""Bytes that are kept from readers until the digest is verified: without them no body ends."""
_HASH_CHUNK = 256 << 10
"""Bytes that are read and hashed at a time: they stay in a core's second-level cache."""
_NEXT = 2
"""Segments ahead of each reader that count as urgent."""


class Phase(enum.Enum):
    """Where an arrival is in its life; only the first may be followed by another."""

    ARRIVING = enum.auto()
    VERIFIED = enum.auto()
    FAILED = enum.auto()


class Arrival:
    """State of one arriving blob; used from the event loop only.

    Invariants: ``have`` holds the segments whose files are complete; ``demand`` maps each live
    reader to what it waits for; ``parts`` holds bytes of segments that are not in ``have``, none of
    segments that are; ``error`` is set exactly in phase FAILED.
    """

    def __init__(
        self,
        directory: BlobDirectory,
        layout: Layout,
        have: Iterable[int] = (),
        parts: Iterable[ByteRange] = (),
    ) -> None:
        self.directory = directory
        self.layout = layout
        self.have = set(have)
        self.resumed = frozenset(self.have)
        self.phase = Phase.ARRIVING
        self.error: EagleError | None = None
        self.source: Source = "origin"
        self.whole_wanted = False
        self.demand: dict[object, Demand] = {}
        self.parts = IntervalSet(parts)
        """Bytes that lie in part files."""
        self.takes_parts = True
        """Whether the source can send parts; if not, whole segments come instead."""
        self.writing: set[int] = set()
        """Segments that somebody writes the file of."""
        self.readers = 0
        """Open readers, whether they wait for bytes or not."""
        self.received = 0
        self._grown: dict[int, int] = {}
        self._rewrites: Counter[int] = Counter()
        self._changed: asyncio.Future[None] | None = None

    @property
    def digest(self) -> Digest:
        """The digest that the whole will have."""
        return self.directory.digest

    @property
    def complete(self) -> bool:
        """Every segment is here (not yet: verified)."""
        return len(self.have) == len(self.layout.segments)

    @property
    def unfinished(self) -> int:
        """Bytes that are here of segments that are not."""
        return sum(self._grown.values()) + self.parts.total

    def missing(self) -> list[int]:
        """Segments that are not here and that somebody wants, most urgent first.

        What each reader needs next comes before what any reader needs later. Those of which only
        parts are wanted are not among them.
        """
        parted = self._parted()
        order = dict.fromkeys(self._urgent(parted))
        for demand in self.demand.values():
            order.update(dict.fromkeys(self._absent(demand.left, parted)))
        if self.whole_wanted:
            order.update(dict.fromkeys(self._absent(ByteRange(0, self.layout.size))))
        return list(order)

    def urgent(self) -> list[int]:
        """The missing segments that readers need next."""
        return self._urgent(self._parted())

    def missing_parts(self) -> list[ByteRange]:
        """Bytes that are not here, of segments of which only parts are wanted.

        In the order in which readers have asked; each run within a segment, and apart from others.
        """
        parted = self._parted()
        here = IntervalSet(self.parts)
        found: list[ByteRange] = []
        for demand in self.demand.values() if parted else ():
            for segment in self.layout.covering(demand.left.start, demand.left.stop):
                if segment.index in parted:
                    wanted = demand.blocks(segment)
                    found.extend(here.gaps(wanted))
                    here.add(wanted)
        return found

    def wants_part(self, offset: int) -> bool:
        """Whether a reader still waits for the block at ``offset``."""
        segment = self.layout.at(offset)
        return any(
            demand.offset < segment.stop
            and demand.blocks(segment).start <= offset < demand.blocks(segment).stop
            for demand in self.demand.values()
        )

    def wants_more(self) -> bool:
        """Whether anything that is not here is wanted."""
        return bool(self.missing() or self.missing_parts())

    def _parted(self) -> set[int]:
        """The segments that are not here, and of which nobody wants more than parts."""
        if self.whole_wanted or not self.takes_parts:
            return set()
        parted: set[int] = set()
        entire: set[int] = set()
        for demand in self.demand.values():
            for segment in self.layout.covering(demand.left.start, demand.left.stop):
                if segment.index not in self.have:
                    (parted if demand.is_part(segment) else entire).add(segment.index)
        return parted - entire

    def _urgent(self, parted: Set[int]) -> list[int]:
        order: dict[int, None] = {}
        for demand in self.demand.values():
            order.update(dict.fromkeys(islice(self._absent(demand.left, parted), _NEXT)))
        return list(order)

    def grew(self, index: int, count: int) -> None:
        """The file of segment ``index`` now holds its first ``count`` bytes for readers to use."""
        self._grown[index] = count
        self._signal()

    def lost(self, index: int) -> None:
        """The bytes of an incomplete segment are not to be used any more."""
        self.writing.discard(index)
        if self._grown.pop(index, 0):
            self._rewrites[index] += 1

    def rewrites(self, index: int) -> int:
        """How often bytes of a segment that readers may have seen were lost."""
        return self._rewrites[index]

    def keep_only(self, intact: Iterable[int]) -> None:
        """Before anybody reads: of the segments that were to be resumed only these are here."""
        self.have.intersection_update(intact)
        self.resumed = frozenset(self.have)

    def dropped(self, index: int) -> None:
        """The file of segment ``index``, which was whole, is of no use: it has to come again."""
        self.have.discard(index)
        self.resumed -= {index}
        self._rewrites[index] += 1
        self._signal()

    def completed(self, index: int) -> None:
        """Segment ``index`` is whole."""
        segment = self.layout.segments[index]
        self.have.add(index)
        self.writing.discard(index)
        self.parts.discard(ByteRange(segment.start, segment.stop))
        self._grown.pop(index, None)
        self._signal()

    def part_grew(self, run: ByteRange) -> None:
        """The part file of a segment now holds these bytes for readers to use."""
        if self.layout.at(run.start).index not in self.have:
            self.parts.add(run)
            self._signal()

    def parts_complete(self, index: int) -> bool:
        """Whether a segment that nobody writes has come as parts, all of it."""
        segment = self.layout.segments[index]
        return (
            index not in self.have
            and index not in self.writing
            and self.parts.covers(ByteRange(segment.start, segment.stop))
        )

    def parted_segments(self) -> set[int]:
        """Segments that have a part file."""
        return {
            segment.index
            for run in self.parts
            for segment in self.layout.covering(run.start, run.stop)
        }

    def place(self, offset: int) -> Path:
        """The file that byte ``offset``, which is readable, is read from."""
        segment = self.layout.at(offset)
        if segment.index in self.have or offset < self._grown_to(segment):
            return self.directory.segment(segment.index)
        return self.directory.part(segment.index)

    def fail(self, error: EagleError) -> None:
        """No more bytes will come; readers get ``error``."""
        if self.phase is Phase.ARRIVING:
            self.phase = Phase.FAILED
            self.error = error
        self._signal()

    def woke(self) -> None:
        """Wake everybody who waits for a change: demand has changed."""
        self._signal()

    def want_whole(self) -> None:
        """All of the blob has to come, and none of it may end before it is verified."""
        if not self.whole_wanted:
            self.whole_wanted = True
            self._signal()

    def want_ranges(self) -> None:
        """Nothing has to come but what readers ask for; only before anybody reads the whole."""
        if self.whole_wanted and not self.demand:
            self.whole_wanted = False
            self._signal()

    async def changed(self) -> None:
        """Wait for the next change of any kind."""
        if self._changed is None:
            self._changed = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._changed)

    async def readable(self, offset: int, stop: int) -> ByteRange:
        """Wait until bytes from ``offset`` on may be read; a run within one file, never empty.

        Raises the arrival's error once it has failed (bytes that are here are still given).
        """
        segment = self.layout.at(offset)
        while True:
            end = segment.stop
            if segment.index not in self.have:
                grown = self._grown_to(segment)
                end = grown if offset < grown else self.parts.end_of(offset)
                end = min(end, segment.stop)
            if self.whole_wanted and self.phase is not Phase.VERIFIED:
                end = min(end, self.layout.size - _HELD_BACK)
            end = min(end, stop)
            if end > offset and not isinstance(self.error, WrongContent):
                return ByteRange(offset, end)
            if self.error is not None:
                raise self.error
            await self.changed()

    async def verify(self) -> None:
        """Hash the blob as it becomes contiguous; ends when it is VERIFIED or FAILED."""
        digest = hashlib.sha256()
        chunk = memoryview(bytearray(_HASH_CHUNK))
        for segment in self.layout.segments:
            while segment.index not in self.have:
                if self.phase is not Phase.ARRIVING:
                    return
                await self.changed()
            await asyncio.to_thread(self._hash, segment.index, digest, chunk)
        found = f"sha256:{digest.hexdigest()}"
        if self.phase is not Phase.ARRIVING:
            return
        if found != self.digest:
            self.fail(WrongContent(f"asked for {self.digest} but the bytes are {found}; discarded"))
            return
        self.phase = Phase.VERIFIED
        self._signal()

    def check(self) -> None:
        """Assert the invariants."""
        assert (self.phase is Phase.FAILED) == (self.error is not None)
        assert not self.have & self._grown.keys()
        assert all(0 <= index < len(self.layout.segments) for index in self.have)
        assert not self.have & self.writing
        for run in self.parts:
            assert not self.have & {
                each.index for each in self.layout.covering(run.start, run.stop)
            }

    def _absent(self, wanted: ByteRange, parted: Set[int] = frozenset()) -> Iterator[int]:
        for segment in self.layout.covering(wanted.start, wanted.stop):
            if segment.index not in self.have and segment.index not in parted:
                yield segment.index

    def _grown_to(self, segment: Segment) -> int:
        return segment.start + self._grown.get(segment.index, 0)

    def _hash(self, index: int, digest: hashlib._Hash, chunk: memoryview) -> None:
        try:
            with self.directory.segment(index).open("rb", buffering=0) as file:
                while count := file.readinto(chunk):
                    digest.update(chunk[:count])
        except OSError as error:
            raise Unavailable(f"cannot read back {self.directory.path}: {error}") from error

    def _signal(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)
        self._changed = None
