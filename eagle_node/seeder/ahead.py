"""Fetches what will probably be asked for soon, in the pauses of what is asked for now."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from eagle_node.base.digest import Digest
from eagle_node.base.errors import Denied
from eagle_node.base.sizes import format_size
from eagle_node.blobs.cache import Cache
from eagle_node.metrics.instruments import Metrics
from eagle_node.registry.access import Access
from eagle_node.registry.authorizer import ANYBODY
from eagle_node.registry.names import BlobRef
from eagle_node.runtime.clock import Clock, monotonic
from eagle_node.runtime.tasks import TaskSet
from eagle_node.seeder.rights import remember_once_opened
from eagle_node.seeder.turns import Turns
from eagle_node.swarm.transfer import Source, Transfer
from eagle_node.swarm.transfers import Transfers

log = logging.getLogger(__name__)

MOST_AT_ONCE = 1
"""Blobs that are fetched ahead at a time. In a manifest's order they come as clients ask for them,
and what kernels buffer of a connection that makes way is a blob's worth at the most: with 3, a
layer that is asked for shares a 50 Mbit/s link with two others for most of a second."""
MOST_BLOBS = 1024
"""Blobs that may wait for their turn, however small."""
CACHE_SHARE = 4
"""What nobody has asked for yet takes at most this fraction of the cache."""
UNCLAIMED_S = 600.0
"""After so long what was fetched ahead no longer counts against the limit. A pull takes minutes;
somebody who only reads manifests makes the seeder fetch no more than the limit in this time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Noted:
    size: int
    at: float


class Prefetcher:
    """Fetches blobs ahead of demand, each in the name of the client that was given its manifest.

    Invariant: the blobs that are noted (waiting, on their way, or here since less than
    `UNCLAIMED_S`), and that nobody has asked for, have ``limit`` bytes at most together.
    """

    def __init__(
        self,
        *,
        limit: int,
        cache: Cache,
        transfers: Transfers,
        access: Access,
        origin: Callable[[BlobRef, str | None], Source],
        turns: Turns,
        metrics: Metrics,
        clock: Clock = monotonic,
    ) -> None:
        self._limit = min(limit, cache.limit // CACHE_SHARE) if cache.limit else limit
        self._cache = cache
        self._transfers = transfers
        self._access = access
        self._origin = origin
        self._turns = turns
        self._metrics = metrics
        self._clock = clock
        self._noted: dict[Digest, _Noted] = {}
        self._refused: dict[Digest, float] = {}
        """Blobs that nobody may read who shows nothing, and when the origin said so."""
        self._places = asyncio.Semaphore(MOST_AT_ONCE)
        self._tasks = TaskSet()

    async def aclose(self) -> None:
        """Forget what has not begun."""
        await self._tasks.cancel()

    def note(self, blob: BlobRef, size: int, authorization: str | None) -> None:
        """``blob``, of ``size`` bytes, may be asked for soon; never waits, harmless if repeated."""
        digest = blob.digest
        if digest in self._noted or self._is_known(digest):
            return
        self._expire()
        if authorization == ANYBODY and digest in self._refused:
            return
        unclaimed = sum(noted.size for noted in self._noted.values())
        if unclaimed + size > self._limit or len(self._noted) >= MOST_BLOBS:
            log.debug(
                "%s is not fetched ahead: nobody has asked yet for %s that were",
                blob,
                format_size(unclaimed),
            )
            self._metrics.prefetches.labels("no_room").inc()
            return
        self._noted[digest] = _Noted(size=size, at=self._clock())
        self._tasks.spawn(self._bring(blob, authorization), name=f"prefetch-{digest[7:19]}")

    def claim(self, digest: Digest) -> None:
        """Somebody asks for a blob: it is not fetched ahead any more, but for him."""
        self._noted.pop(digest, None)

    def check(self) -> None:
        """Assert the invariants."""
        assert sum(noted.size for noted in self._noted.values()) <= self._limit
        assert len(self._noted) <= MOST_BLOBS

    async def _bring(self, blob: BlobRef, authorization: str | None) -> None:
        async with self._places:
            await self._turns.idle()
            await self._transfers.ready(blob.digest)
            if blob.digest not in self._noted or self._is_known(blob.digest):
                self.claim(blob.digest)
                return
            self._metrics.prefetches.labels("begun").inc()
            transfer = await self._transfers.start(
                blob.digest,
                self._origin(blob, authorization),
                whole=True,
                ahead=True,
                claim=(blob, authorization),
            )
            if transfer is None:
                return
            remember_once_opened(self._access, transfer, blob, authorization)
            await asyncio.wait(
                [transfer.asked, transfer.finished], return_when=asyncio.FIRST_COMPLETED
            )
            if transfer.asked.done() or blob.digest not in self._cache:
                self.claim(blob.digest)
            if authorization == ANYBODY and _was_refused(transfer):
                self._refused[blob.digest] = self._clock()

    def _is_known(self, digest: Digest) -> bool:
        return digest in self._cache or self._transfers.get(digest) is not None

    def _expire(self) -> None:
        oldest = self._clock() - UNCLAIMED_S
        while self._refused:
            digest, refused_at = next(iter(self._refused.items()))
            if refused_at > oldest and len(self._refused) <= MOST_BLOBS:
                break
            del self._refused[digest]
        for digest, noted in list(self._noted.items()):
            if noted.at > oldest:
                return
            del self._noted[digest]


def _was_refused(transfer: Transfer) -> bool:
    if not transfer.finished.done() or transfer.finished.cancelled():
        return False
    return isinstance(transfer.finished.exception(), Denied)
