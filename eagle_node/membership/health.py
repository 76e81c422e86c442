"""How far a member may trust its own judgement (Lifeguard, section 4.A: the LHM)."""

from __future__ import annotations


class LocalHealth:
    """A counter from 0, healthy, to ``most``; probes take `factor` times longer.

    It falls by one with each probe that is answered; it rises with signs that the fault is here:
    helpers that send no nack, suspicions of this node that it had to refute, timers that came late.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.score = 0

    @property
    def factor(self) -> int:
        """What probe interval and timeouts are multiplied with."""
        return self.score + 1

    def improve(self) -> None:
        """A probe was answered."""
        self.score = max(0, self.score - 1)

    def worsen(self, by: int = 1) -> None:
        """Something points at this process or its network."""
        self.score = min(self._most, self.score + by)
