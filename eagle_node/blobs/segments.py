"""How a blob is cut into segments: a pure function of its size, the same on every node.

The layout is a wire constant (`LAYOUT_VERSION`): metainfo, tracker bitmaps and files on disk name
segments by number. Segments start small (time to first byte; a seeder shares a segment only once it
has all of it, so the first one delays everybody), grow with what has passed (a 10 GiB blob has
some six hundred) and shrink towards the end, since the last segment is the tail that every hop
waits for.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from functools import lru_cache

LAYOUT_VERSION = 5
MAX_SIZE = 1 << 40
"""Bytes that a blob may have: sizes come from strangers, and bound what a layout costs."""

_USUAL = 512 << 10
"""Bytes of most segments of blobs up to 64 MiB. With twice as much, waves over links of 5 and
10 Mbit/s take 1.5 to 2 % longer, but two nodes on 2.5 Gbit/s bring 128 MiB at 1.2 times the rate:
each segment costs some 3 ms of a processor, at both ends of a link together."""
_SMALLEST = 256 << 10
"""Bytes of the first and last segments: each costs a connection per hop."""
_LARGEST = 64 << 20
_START = 4
"""Up to `_USUAL` bytes, a segment is at most this fraction of what precedes it ..."""
_GROWTH = 56
"""... above, this fraction of it: everybody waits for as long as the largest segment takes to reach
the seeder, so a blob's largest is a sixty-fourth of it ..."""
_TAIL = 8
"""... and this one of what is left from its start."""
_PIECES = 16
"""Pieces that a segment is cut into, within ..."""
_PIECE = (16 << 10, 64 << 10)
"""... these bounds in bytes. A hop can pass a piece on once it has all of it, and sends several at
a time: in the small segments at the end, pieces are what the last node waits for at every hop. But
every hop passes on 32 bytes for each, and says that it has it."""
_MOST_PIECES = 64
"""Pieces of the large segments, of large blobs."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes ``[start, stop)`` of a blob; ``index`` counts from 0."""

    index: int
    start: int
    stop: int

    @property
    def length(self) -> int:
        """Bytes in the segment."""
        return self.stop - self.start

    @property
    def piece_length(self) -> int:
        """Bytes of a BitTorrent piece: a power of two, at least 16 KiB (BEP 52)."""
        piece, largest = _PIECE
        while (piece * _PIECES < self.length and piece < largest) or (
            piece * _MOST_PIECES < self.length
        ):
            piece *= 2
        return piece


@dataclass(frozen=True, slots=True)
class Layout:
    """The segments of a blob of ``size`` bytes, in order, without gaps."""

    size: int
    segments: tuple[Segment, ...]
    _starts: tuple[int, ...] = field(repr=False, compare=False)

    def at(self, offset: int) -> Segment:
        """The segment that holds byte ``offset`` (``0 <= offset < size``)."""
        return self.segments[bisect.bisect_right(self._starts, offset) - 1]

    def covering(self, start: int, stop: int) -> tuple[Segment, ...]:
        """The segments that hold bytes ``[start, stop)``."""
        if stop <= start:
            return ()
        return self.segments[self.at(start).index : self.at(stop - 1).index + 1]


@lru_cache(maxsize=256)
def layout_of(size: int) -> Layout:
    """The layout of a blob of ``size`` bytes; an empty blob has no segments.

    `ValueError` for a size that no blob has.
    """
    if not 0 <= size <= MAX_SIZE:
        raise ValueError(f"no blob has {size} bytes")
    segments: list[Segment] = []
    start = 0
    while start < size:
        stop = min(size, start + _length_at(start, size - start))
        segments.append(Segment(len(segments), start, stop))
        start = stop
    return Layout(size, tuple(segments), tuple(segment.start for segment in segments))


def _length_at(before: int, left: int) -> int:
    grown = max(_SMALLEST, min(_USUAL, before // _START), before // _GROWTH)
    wanted = min(_LARGEST, grown, max(_SMALLEST, left // _TAIL))
    return 1 << (wanted.bit_length() - 1)
