"""What readers want of a blob on its way: whole segments, or parts of them.

A segment is the unit that can be swarmed, and it is large in a large blob: 32 MiB in the middle of
1 GiB. A reader that jumps around in such a blob a few KiB at a time would bring most of it. So of a
segment of which a reader wants less than half a *part* is fetched: the bytes that are wanted,
widened to `BLOCK`. Parts that come to cover their segment make it whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.segments import Segment

BLOCK = 16 << 10
"""Bytes that parts are multiples of, counted from their segment's start: BitTorrent's block
(BEP 52), and the largest record of TLS (RFC 8446 section 5.1), below which nothing is saved."""
_PART_SHARE = 2
"""Less than a segment's length divided by this is a part."""


@dataclass(slots=True)
class Demand:
    """The range that a reader has asked for, and how far it has come."""

    wanted: ByteRange
    offset: int

    @property
    def left(self) -> ByteRange:
        """What it still waits for."""
        return ByteRange(self.offset, self.wanted.stop)

    def of(self, segment: Segment) -> ByteRange:
        """The bytes of ``segment`` that were asked for, read or not."""
        start, stop = max(segment.start, self.wanted.start), min(segment.stop, self.wanted.stop)
        return ByteRange(start, max(start, stop))

    def is_part(self, segment: Segment) -> bool:
        """Whether so little of ``segment`` is wanted that the rest of it is left alone.

        It does not change while the reader proceeds.
        """
        return self.of(segment).length * _PART_SHARE < segment.length

    def blocks(self, segment: Segment) -> ByteRange:
        """The blocks of ``segment`` that hold what is still waited for."""
        wanted = self.of(segment)
        first = max(wanted.start, self.offset) - segment.start
        last = wanted.stop - segment.start
        start = segment.start + first // BLOCK * BLOCK
        stop = segment.start + -(-last // BLOCK) * BLOCK
        return ByteRange(start, min(stop, segment.stop))


def demand_for(wanted: ByteRange) -> Demand:
    """Of a reader that has read nothing yet."""
    return Demand(wanted, wanted.start)
