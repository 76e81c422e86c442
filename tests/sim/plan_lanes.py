"""A blob as lanes: the segments that come from one parent, one after the other."""

from __future__ import annotations

import numpy as np

from eagle_node.blobs.segments import layout_of
from eagle_node.tracker.bitmap import pack
from tests.sim.plan_fluid import TRIFLE, Floats


class Lanes:
    """A blob's segments, dealt to ``count`` lanes in turn."""

    def __init__(self, size: int, count: int) -> None:
        self._segments = layout_of(size).segments
        lane = np.array([segment.index % count for segment in self._segments])
        lengths = np.array([segment.length for segment in self._segments])
        own = np.where(lane[:, None] == np.arange(count), lengths[:, None], 0)
        self._stops = np.array([segment.stop for segment in self._segments])
        self._ready: Floats = np.vstack([np.zeros(count), own.cumsum(axis=0)]).astype(np.float64)
        self.lengths: Floats = self._ready[-1]
        self._ends = [
            np.append(own[lane == at, at].cumsum(), np.inf).astype(np.float64)
            for at in range(count)
        ]

    def ready(self, arrived: float) -> Floats:
        """Bytes of each lane in whole segments once ``arrived`` bytes of the blob are there."""
        whole = np.searchsorted(self._stops, arrived, side="right")
        ready: Floats = self._ready[whole]
        return ready

    def next_end(self, lane: int, have: float) -> float:
        """Where in a lane the segment that is under way ends; ``have`` if none is."""
        ends = self._ends[lane]
        at = int(np.searchsorted(ends, have - TRIFLE, side="right"))
        begun = have - (ends[at - 1] if at else 0.0) > TRIFLE
        return float(ends[at]) if begun else have

    def bitmap(self, have: Floats) -> bytes:
        """The whole segments among what a node has of each lane."""
        count = len(self.lengths)
        whole = [
            int(np.searchsorted(ends, reached + TRIFLE, side="right"))
            for ends, reached in zip(self._ends, have, strict=True)
        ]
        total = len(self._segments)
        return pack([i for i in range(total) if i // count < whole[i % count]], total)
