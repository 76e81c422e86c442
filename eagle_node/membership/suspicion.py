"""One suspect's time to refute (Lifeguard, section 4.B)."""

from __future__ import annotations

import math
from collections.abc import Iterable

from eagle_node.base.ids import NodeId


class Suspicion:
    """Long while one member is the only accuser: the fault may be that member's.

    Each further accuser shortens it, the first ones most; with ``wanted`` of them it is ``least``.
    """

    def __init__(
        self, *, wanted: int, least_s: float, most_s: float, accusers: Iterable[NodeId], now: float
    ) -> None:
        self._wanted = wanted
        self._least_s = least_s
        self._most_s = most_s
        self._started = now
        self.accusers = tuple(dict.fromkeys(accusers))[: wanted + 1]

    @property
    def due(self) -> float:
        """When the suspect is dead unless it refutes."""
        if self._wanted <= 0:
            return self._started + self._least_s
        confirmed = max(0, len(self.accusers) - 1)
        share = math.log(confirmed + 1) / math.log(self._wanted + 1)
        patience = self._most_s - (self._most_s - self._least_s) * share
        return self._started + max(self._least_s, patience)

    def confirm(self, accusers: Iterable[NodeId]) -> bool:
        """Take in further accusers; whether one of them is new and still counts."""
        merged = tuple(dict.fromkeys((*self.accusers, *accusers)))[: self._wanted + 1]
        grown = len(merged) > len(self.accusers)
        self.accusers = merged
        return grown

    def delay(self, by: float) -> None:
        """Begin later: this process stood still for ``by`` seconds and could not have heard."""
        self._started += by
