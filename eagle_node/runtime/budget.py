"""Byte budgets: a token bucket that many readers share, and that foreign traffic is charged to."""

from __future__ import annotations

import asyncio

from eagle_node.runtime.clock import Clock, monotonic


class ByteBudget:
    """At most ``rate`` bytes/s over all who take from it; a rate of 0 is no limit.

    ``take`` waits for its turn (first come, first served). ``charge`` records bytes that have
    already moved elsewhere (libtorrent's sockets): the budget goes into debt, takers wait it off.
    """

    BURST_S = 0.1
    """Seconds of unused rate that may be saved up."""
    DEBT_S = 1.0
    """Seconds of rate that charges may take away in advance: foreign traffic that runs a little
    over its share for hours must not lock everybody else out for minutes."""

    def __init__(self, rate: int, *, clock: Clock = monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._tokens = rate * self.BURST_S
        self._updated = clock()
        self._turn = asyncio.Lock()
        self.taken = 0
        """Bytes taken so far, limited or not."""
        self.waiting = 0
        """Takers that wait for their turn."""

    @property
    def rate(self) -> int:
        """Bytes/s; 0 is no limit."""
        return self._rate

    @rate.setter
    def rate(self, rate: int) -> None:
        self._refill()
        self._rate = rate
        self._tokens = min(self._tokens, rate * self.BURST_S)

    async def take(self, count: int) -> None:
        """Wait until ``count`` bytes may move; a count may be larger than the burst."""
        self.taken += count
        if self._rate <= 0:
            return
        self.waiting += 1
        try:
            async with self._turn:
                self._refill()
                self._tokens -= count
                while self._rate > 0 and self._tokens < 0:
                    await asyncio.sleep(min(1.0, -self._tokens / self._rate))
                    self._refill()
        finally:
            self.waiting -= 1

    def charge(self, count: int) -> None:
        """Account for ``count`` bytes that moved without asking."""
        if self._rate > 0:
            self._refill()
            bound = min(self._tokens, -self._rate * self.DEBT_S)
            self._tokens = max(bound, self._tokens - count)

    def _refill(self) -> None:
        now = self._clock()
        limit = self._rate * self.BURST_S
        self._tokens = min(limit, self._tokens + (now - self._updated) * self._rate)
        self._updated = now
