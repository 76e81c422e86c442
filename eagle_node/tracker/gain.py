"""What a node gains, by what it advertises: whether it is as slow as thought, or holds others up.

Whole segments are seen only, several of them are under way at a time, and adverts come every few
seconds. So what was gained is known within some segments, which a long look makes small.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from eagle_node.blobs.segments import layout_of
from eagle_node.tracker.bitmap import unpack

_LOOK_S = 3.5
"""Seconds that a look takes at the least: adverts come every 4 s while a blob does."""
_UNDER_WAY = 2
"""Largest segments that a node may have had most of, when a look began."""
_LEAD = 5
"""Largest segments that a node gets during a look at those that it feeds, and is ahead of them."""
_KEPT = 16
"""Times that are remembered; a largest segment, or more, came between two of them."""


@dataclass(frozen=True, slots=True)
class _Had:
    """How much of a blob a node had, and when."""

    size: int
    """Bytes."""
    at: float


class Gains:
    """What one node has had of a blob of ``blob_size`` bytes, since it has the parents it has."""

    def __init__(self, blob_size: int) -> None:
        self._segments = layout_of(blob_size).segments
        self._largest = max((segment.length for segment in self._segments), default=0)
        self._had: deque[_Had] = deque(maxlen=_KEPT)
        self._last = _Had(0, 0.0)
        self._parents: Hashable = ()
        self._alone_since = -math.inf

    def note(self, have: bytes, parents: Hashable, now: float) -> None:
        """Take in an advert; with other ``parents`` than before all begins anew."""
        if parents != self._parents:
            self._had.clear()
            self._parents = parents
        self._last = _Had(sum(self._segments[number].length for number in unpack(have)), now)
        before = self._had[-1] if self._had else _Had(-self._largest, -math.inf)
        if self._last.size - before.size >= self._largest or before.at < self._alone_since:
            self._had.append(self._last)

    def shared(self) -> None:
        """Other blobs have used the link till now: how little came says nothing of it."""
        self._alone_since = self._last.at

    @property
    def at_least(self) -> int:
        """Bytes/s that it has had for sure, in one look or another; 0: it is too short to tell."""
        under_way = _UNDER_WAY * self._largest
        return max((int(self._rate(had, under_way)) for had in self._looks()), default=0)

    def rate_behind(self, other: Gains, share: float) -> float:
        """Bytes/s of ``other`` while it got `_LEAD` segments; 0: it is not as far ahead as that.

        Nor is it when this node had ``share`` of that rate in the same time.
        """
        lead = _LEAD * self._largest
        ahead = next((had for had in other._looks() if other._last.size - had.size >= lead), None)
        if ahead is None or other._last.size - self._last.size < lead:
            return 0.0
        since = next((had for had in self._looks() if had.at <= ahead.at), None)
        if since is None or since.at < self._alone_since:
            return 0.0
        if self._rate(since, -self._largest) >= share * other._rate(ahead):
            return 0.0
        return other._rate(ahead)

    def _looks(self) -> Iterator[_Had]:
        """When looks may have begun, the latest first."""
        return (had for had in reversed(self._had) if self._last.at - had.at >= _LOOK_S)

    def _rate(self, since: _Had, under_way: int = 0) -> float:
        return (self._last.size - since.size - under_way) / (self._last.at - since.at)
