"""Bytes that are set aside for blobs on their way, before they come (no IO)."""

from __future__ import annotations

from collections.abc import Iterable

from eagle_node.base.digest import Digest
from eagle_node.base.intervals import IntervalSet
from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.arrival import Arrival


class Reservations:
    """Of arrivals: whole segments, and parts of others."""

    def __init__(self) -> None:
        self._arrivals: dict[Digest, Arrival] = {}
        self._segments: dict[Digest, set[int]] = {}
        self._parts: dict[Digest, IntervalSet] = {}
        """Of segments that are not reserved."""

    @property
    def size(self) -> int:
        """Bytes of all."""
        segments = sum(
            arrival.layout.segments[index].length
            for digest, arrival in self._arrivals.items()
            for index in self._segments[digest]
        )
        return segments + sum(parts.total for parts in self._parts.values())

    @property
    def outstanding(self) -> int:
        """Bytes of segments that are not on the disk yet."""
        return sum(
            arrival.layout.segments[index].length
            for digest, arrival in self._arrivals.items()
            for index in self._segments[digest] - arrival.have
        )

    def begin(self, arrival: Arrival, segments: Iterable[int], parts: Iterable[ByteRange]) -> None:
        """An arrival starts, with these on the disk already."""
        self._arrivals[arrival.digest] = arrival
        self._segments[arrival.digest] = set(segments)
        self._parts[arrival.digest] = IntervalSet(parts)

    def end(self, digest: Digest) -> None:
        """An arrival is over."""
        for kept in (self._arrivals, self._segments, self._parts):
            kept.pop(digest, None)

    def keep_only(self, digest: Digest, segments: Iterable[int]) -> None:
        """Of the segments that are reserved."""
        self._segments[digest] &= set(segments)

    def has_segment(self, digest: Digest, index: int) -> bool:
        """Whether a whole segment is reserved."""
        return index in self._segments[digest]

    def lacking(self, arrival: Arrival, segments: Iterable[int]) -> int:
        """Bytes that these segments need beyond what is reserved."""
        wanted = set(segments) - self._segments[arrival.digest]
        return sum(arrival.layout.segments[index].length for index in wanted)

    def add(self, digest: Digest, segments: Iterable[int]) -> None:
        """Reserve segments."""
        self._segments[digest].update(segments)

    def lacking_of_part(self, digest: Digest, run: ByteRange) -> int:
        """Bytes that a part needs beyond what is reserved."""
        return sum(gap.length for gap in self._parts[digest].gaps(run))

    def add_part(self, digest: Digest, run: ByteRange) -> None:
        """Reserve a part of a segment that is not reserved."""
        self._parts[digest].add(run)

    def has_parts(self, digest: Digest, run: ByteRange) -> bool:
        """Whether some of ``run`` is reserved as parts."""
        return self._parts[digest].intersects(run)

    def discard_part(self, digest: Digest, run: ByteRange) -> None:
        """Its segment is reserved, or here, as a whole."""
        self._parts[digest].discard(run)

    def check(self, arrivals: Iterable[Digest]) -> None:
        """Assert that these are the arrivals that have reserved something."""
        assert self._arrivals.keys() == self._segments.keys() == self._parts.keys()
        assert self._arrivals.keys() == set(arrivals)
