"""Deadlines by key; no IO."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Timers(Generic[K]):
    """At most one deadline for each key.

    Invariant: every entry of ``_due`` is in ``_heap``; other entries of the heap are void.
    """

    def __init__(self) -> None:
        self._due: dict[K, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._sequence = 0

    def __contains__(self, key: K) -> bool:
        return key in self._due

    @property
    def next(self) -> float:
        """The earliest deadline; infinity when there is none."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][:2]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else math.inf

    def set(self, key: K, due: float) -> None:
        """Give ``key`` the deadline ``due`` instead of the one that it may have."""
        self._sequence += 1
        self._due[key] = due, self._sequence
        heapq.heappush(self._heap, (due, self._sequence, key))

    def cancel(self, key: K) -> None:
        """Forget a deadline, if there is one."""
        self._due.pop(key, None)

    def pop_due(self, now: float) -> Iterator[K]:
        """The keys whose deadlines have passed, in their order, each forgotten as it is given."""
        while self.next <= now:
            key = heapq.heappop(self._heap)[2]
            del self._due[key]
            yield key

    def delay(self, by: float, which: Callable[[K], bool]) -> None:
        """Move the deadlines of some keys."""
        for key, (due, _) in list(self._due.items()):
            if which(key):
                self.set(key, due + by)
