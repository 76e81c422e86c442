"""How a blob is cut into segments: a pure function of its size, the same on every node.

The layout is a wire constant (`LAYOUT_VERSION`): metainfo, tracker bitmaps and files on disk name
segments by number. Segments start at 1 MiB (time to first byte; a seeder shares a segment only once
it has all of it), grow with what has passed (a 10 GiB blob stays in the low hundreds of torrents)
and shrink towards the end, since the last segment is the tail that every hop waits for.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from functools import lru_cache

LAYOUT_VERSION = 1
MAX_SIZE = 1 << 40
"""Bytes that a blob may have: sizes come from strangers, and bound what a layout costs."""

_USUAL = 1 << 20
_SMALLEST = 256 << 10
"""Bytes of the last segments: each costs a connection per hop, and delays every hop behind it."""
_LARGEST = 64 << 20
_GROWTH = 16
"""A segment is at most this fraction of what precedes it ..."""
_TAIL = 8
"""... and of what is left from its start."""
_SMALLEST_PIECE = 32 << 10
_PIECES = 256
"""Pieces a segment has at the most, so that metainfo stays at 0.1 % of the data or less."""


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
        piece = _SMALLEST_PIECE
        while piece * _PIECES < self.length:
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
    wanted = min(_LARGEST, max(_USUAL, before // _GROWTH), max(_SMALLEST, left // _TAIL))
    return 1 << (wanted.bit_length() - 1)
