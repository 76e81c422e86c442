"""Keeps the missing parts of a transfer coming, several at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from eagle_node.base.ranges import ByteRange
from eagle_node.swarm.transfer import Transfer

MOST_AT_ONCE = 8
"""Requests for parts of one blob at a time: as many as a client's parallel ranges."""


class PartFetches:
    """Which parts are being fetched, each by a task that ``bring`` makes."""

    def __init__(self, bring: Callable[[Transfer, ByteRange], Coroutine[Any, Any, None]]) -> None:
        self._bring = bring
        self._runs: set[ByteRange] = set()

    def __bool__(self) -> bool:
        return bool(self._runs)

    def dispatch(self, transfer: Transfer, group: asyncio.TaskGroup) -> None:
        """Start to fetch what is missing, wanted and not on its way; again at the next change."""
        for run in transfer.arrival.missing_parts():
            if len(self._runs) < MOST_AT_ONCE and not self._is_coming(run):
                self._runs.add(run)
                group.create_task(self._fetch(transfer, run), name="part")

    def _is_coming(self, run: ByteRange) -> bool:
        """Whether bytes of ``run`` are on their way; what is left of it is fetched later."""
        return any(each.start < run.stop and run.start < each.stop for each in self._runs)

    async def _fetch(self, transfer: Transfer, run: ByteRange) -> None:
        try:
            await self._bring(transfer, run)
        finally:
            self._runs.discard(run)
            transfer.arrival.woke()
