"""Sets of bytes of a blob, as intervals."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator

from eagle_node.base.ranges import ByteRange


class IntervalSet:
    """Offsets in few runs. Invariant: runs are not empty, in order, and never touch."""

    __slots__ = ("_starts", "_stops")

    def __init__(self, runs: Iterable[ByteRange] = ()) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []
        for run in runs:
            self.add(run)

    def __iter__(self) -> Iterator[ByteRange]:
        return map(ByteRange, self._starts, self._stops)

    def __bool__(self) -> bool:
        return bool(self._starts)

    @property
    def total(self) -> int:
        """How many offsets it holds."""
        return sum(self._stops) - sum(self._starts)

    def add(self, run: ByteRange) -> None:
        """Hold these too; what overlaps or touches becomes one run."""
        if run.stop <= run.start:
            return
        first = bisect.bisect_left(self._stops, run.start)
        last = bisect.bisect_right(self._starts, run.stop)
        start, stop = run.start, run.stop
        if first < last:
            start, stop = min(start, self._starts[first]), max(stop, self._stops[last - 1])
        self._starts[first:last] = [start]
        self._stops[first:last] = [stop]

    def discard(self, run: ByteRange) -> None:
        """Hold none of these."""
        if run.stop <= run.start:
            return
        kept = [
            ByteRange(start, stop)
            for each in self
            for start, stop in (
                (each.start, min(each.stop, run.start)),
                (max(each.start, run.stop), each.stop),
            )
            if start < stop
        ]
        self._starts = [each.start for each in kept]
        self._stops = [each.stop for each in kept]

    def end_of(self, offset: int) -> int:
        """Where the run that holds ``offset`` ends; ``offset`` itself when none does."""
        at = bisect.bisect_right(self._starts, offset) - 1
        return max(offset, self._stops[at]) if at >= 0 else offset

    def covers(self, run: ByteRange) -> bool:
        """Whether it holds all of them."""
        return self.end_of(run.start) >= run.stop

    def intersects(self, run: ByteRange) -> bool:
        """Whether it holds any of them."""
        after = bisect.bisect_right(self._stops, run.start)
        return after < len(self._starts) and max(run.start, self._starts[after]) < run.stop

    def gaps(self, run: ByteRange) -> Iterator[ByteRange]:
        """Those of ``run`` that it does not hold, in order."""
        offset = run.start
        while offset < run.stop:
            offset = self.end_of(offset)
            after = bisect.bisect_left(self._starts, offset)
            stop = self._starts[after] if after < len(self._starts) else run.stop
            stop = min(stop, run.stop)
            if offset < stop:
                yield ByteRange(offset, stop)
            offset = stop
