"""Drops the cache's copies of blobs that are lent, once nobody uses them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from eagle_node.base.digest import Digest
from eagle_node.base.errors import EagleError
from eagle_node.blobs.cache import Cache
from eagle_node.runtime.clock import Clock, monotonic
from eagle_node.swarm.transfers import Transfers

log = logging.getLogger(__name__)

QUIET_S = 3.0
"""How long nobody may have used a copy: who pulls an image's layers, or a blob's segments, comes
back for the next one within this."""
_LOOK_S = 0.5


class Dedupe:
    """Watches the copies of lent blobs; run it as a task.

    Pinned blobs stay: whoever pinned them wants them here whatever containerd does.
    """

    def __init__(
        self,
        cache: Cache,
        transfers: Transfers,
        offer: Callable[[Digest], Awaitable[object]],
        *,
        clock: Clock = monotonic,
        quiet_s: float = QUIET_S,
    ) -> None:
        """``offer`` has peers find a blob where it is lent, before the copy goes."""
        self._cache = cache
        self._transfers = transfers
        self._offer = offer
        self._clock = clock
        self._quiet_s = quiet_s
        self._quiet_since: dict[Digest, float] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            await self._look()

    async def _look(self) -> None:
        now = self._clock()
        copies = {d for d in self._cache.lent() if self._cache.is_resident(d)}
        for gone in self._quiet_since.keys() - copies:
            del self._quiet_since[gone]
        for digest in copies:
            if self._is_used(digest):
                self._quiet_since[digest] = now
            elif now - self._quiet_since.setdefault(digest, now) >= self._quiet_s:
                await self._drop(digest)

    def _is_used(self, digest: Digest) -> bool:
        cache, transfers = self._cache, self._transfers
        return (
            cache.is_kept(digest)
            or cache.is_read(digest)
            or transfers.get(digest) is not None
            or transfers.seeding.is_drawn_from(digest)
        )

    async def _drop(self, digest: Digest) -> None:
        try:
            await self._offer(digest)
        except EagleError as error:
            log.info("the copy of %s stays: %s", digest, error)
            self._quiet_since[digest] = self._clock()
            return
        if digest in self._cache.lent() and not self._is_used(digest):
            await self._cache.drop(digest, spare=True)
