"""One bandwidth limit for a node: the swarm's sockets and the byte budgets of everything else.

libtorrent limits itself, a `ByteBudget` limits the rest; the governor moves the border between them
a few times a second. While only one of them has traffic it may have the whole limit; when both do,
the swarm gets what the others leave, and at least half. What was too much or too little is made up
for in the next second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from eagle_node.config.tree import LimitsConfig
from eagle_node.runtime.budget import ByteBudget
from eagle_node.runtime.clock import Clock, monotonic
from eagle_node.swarm.events import Traffic

GOVERN_INTERVAL_S = 0.25
"""How often the border moves."""
_SETTLE_S = 1.0
"""Seconds in which libtorrent is to make up for what it has moved too much or too little: left
alone it is some percent off its limit, and a tenth and more for seconds."""
_CREDIT_S = 0.25
"""Seconds of unused limit that may be made up for."""
_RECEIVED = 0.97
"""Of the download limit, what is aimed at: bytes under way when the border moves come on top, up to
5 % of 4 MB/s over ten seconds (measured at the interface, a swarm and a registry sending at once).
"""
_LEAST = 8
"""The part of the limit that the swarm may always have."""


@dataclass(slots=True)
class _Direction:
    """One direction of traffic; ``budget`` is drawn by everything but the swarm."""

    limit: int
    """Aimed at, bytes/s; 0: none."""
    budget: ByteBudget
    swarm_total: int = 0
    other_total: int = 0
    other_rate: float = 0.0
    credit: float = 0.0
    """Bytes that were left unused of late; negative: that were too many. While others wait for
    their turn there is none: they take whatever the swarm leaves."""

    def share(self, swarm_total: int, elapsed_s: float) -> int:
        """Charge what the swarm has moved; its limit for the next interval, bytes/s (0: none)."""
        swarm = swarm_total - self.swarm_total
        self.budget.charge(swarm)
        self.swarm_total = swarm_total
        taken = self.budget.taken
        earned = self.limit * elapsed_s - swarm - (taken - self.other_total)
        self.credit = min(_CREDIT_S * self.limit, max(-self.limit, self.credit + earned))
        rate = (taken - self.other_total) / elapsed_s
        self.other_total = taken
        self.other_rate = 0.5 * self.other_rate + 0.5 * rate
        if not self.limit:
            return 0
        if self.budget.waiting:
            self.credit = 0.0
            return max(1, self.limit // 2)
        share = max(self.limit // 2, int(self.limit - self.other_rate))
        return max(1, self.limit // _LEAST, share + int(self.credit / _SETTLE_S))


class Governor:
    """Applies `LimitsConfig`; ``apply(upload, download)`` sets the swarm's own limits."""

    def __init__(
        self,
        limits: LimitsConfig,
        apply: Callable[[int, int], None],
        *,
        clock: Clock = monotonic,
    ) -> None:
        self._apply = apply
        self._clock = clock
        self._updated = clock()
        self._set = (-1, -1)
        self.upload = ByteBudget(limits.upload, clock=clock)
        """Drawn by everything that sends to other hosts, except the swarm."""
        self._limits = limits
        self.download = ByteBudget(_aim(limits.download), clock=clock)
        """Drawn by everything that receives from other hosts, except the swarm."""
        self._up = _Direction(limits.upload, self.upload)
        self._down = _Direction(_aim(limits.download), self.download)

    def change(self, *, upload: int | None = None, download: int | None = None) -> None:
        """Other limits from here on, bytes/s; 0 is none; None: as before."""
        before = self._limits
        self._limits = LimitsConfig(
            upload=before.upload if upload is None else upload,
            download=before.download if download is None else download,
        )
        aims = (self._limits.upload, _aim(self._limits.download))
        for direction, limit in zip((self._up, self._down), aims, strict=True):
            if direction.limit != limit:
                direction.limit = direction.budget.rate = limit
                direction.credit = 0.0
        self.start()

    @property
    def limits(self) -> LimitsConfig:
        """The limits that are in force."""
        return self._limits

    @property
    def active(self) -> bool:
        """Whether there is a limit to hold."""
        return bool(self._up.limit or self._down.limit)

    def on_traffic(self, traffic: Traffic) -> None:
        """Move the border; called with fresh totals every `GOVERN_INTERVAL_S`."""
        now = self._clock()
        elapsed = max(0.001, now - self._updated)
        self._updated = now
        shares = (
            self._up.share(traffic.sent, elapsed),
            self._down.share(traffic.received, elapsed),
        )
        if shares != self._set:
            self._set = shares
            self._apply(*shares)

    def start(self) -> None:
        """Apply the limits before the first traffic."""
        self._set = (self._up.limit, self._down.limit)
        self._apply(*self._set)


def _aim(download: int) -> int:
    return max(1, int(download * _RECEIVED)) if download else 0
