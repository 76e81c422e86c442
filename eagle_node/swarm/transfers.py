"""Blobs on their way through this node: one transfer per digest, whoever asked and wherever from.

Everybody who wants the same digest shares it. A source fills it: the swarm, the origin, or both in
turn; what is whole and verified is committed to the cache, and seeded on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Hashable
from typing import Self

from eagle_node.base.digest import Digest
from eagle_node.base.errors import Denied, EagleError, Unavailable, WrongContent
from eagle_node.blobs.arrival import Arrival, Phase
from eagle_node.blobs.cache import Cache
from eagle_node.metrics.instruments import Metrics
from eagle_node.runtime.tasks import TaskSet
from eagle_node.swarm.seeding import Seeding
from eagle_node.swarm.session import Swarm
from eagle_node.swarm.torrents import pack_torrents
from eagle_node.swarm.transfer import Source, Transfer

log = logging.getLogger(__name__)

LINGER_S = 20.0
"""How long a partly filled transfer waits for another range before it is suspended."""


class Transfers:
    """All transfers of this node; an async context. ``seeding`` offers what they bring to peers."""

    def __init__(
        self,
        cache: Cache,
        swarm: Swarm,
        metrics: Metrics,
        *,
        most_torrents: int,
        linger_s: float = LINGER_S,
    ) -> None:
        self._cache = cache
        self._swarm = swarm
        self._metrics = metrics
        self._linger_s = linger_s
        self._running: dict[Digest, Transfer] = {}
        self._tasks = TaskSet()
        self.seeding = Seeding(cache, swarm, most_torrents=most_torrents)
        self.on_start: list[Callable[[Transfer], None]] = []
        """Called with each transfer at its start."""
        cache.on_drop.append(self._withdraw)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.cancel()

    def running(self) -> dict[Digest, Transfer]:
        """Transfers under way."""
        return dict(self._running)

    def get(self, digest: Digest) -> Transfer | None:
        """The transfer of ``digest``, if it is under way."""
        return self._running.get(digest)

    def port_of(self, digest: Digest) -> int:
        """Where peers get a blob, if not at the swarm's listener; else 0."""
        lender = self.seeding.lender
        if lender is None or self._cache.is_resident(digest) or digest in self._running:
            return 0
        return lender.port

    async def ready(self, digest: Digest) -> None:
        """Have the cache lent what lies elsewhere on this host; before rights are looked at."""
        lender = self.seeding.lender
        if lender is not None and digest not in self._cache and digest not in self._running:
            await lender.ready(digest)

    async def start(
        self,
        digest: Digest,
        source: Source,
        *,
        whole: bool,
        ahead: bool = False,
        claim: Hashable = None,
    ) -> Transfer | None:
        """The transfer of ``digest``, started with ``source`` unless it is under way already.

        In that case ``source`` stands by: it goes on when the one in use is refused, as one is
        whose reader's token has expired. ``claim`` tells the rights that a source fetches with from
        others; one of each stands by. ``ahead``: nobody wants it yet, as far as this caller knows.
        None when the cache has the blob by now: whoever looked there before may have waited since.
        """
        while (transfer := self._running.get(digest)) is not None and transfer.closing:
            await asyncio.wait([transfer.finished])
        if transfer is None:
            if digest in self._cache:
                return None
            transfer = Transfer(digest, self._cache, self._swarm)
            transfer.stand_by(claim, source)
            self._running[digest] = transfer
            for listener in self.on_start:
                listener(transfer)
            self._tasks.spawn(self._run(transfer), name=f"transfer-{digest[7:19]}")
        else:
            transfer.stand_by(claim, source)
        if whole:
            transfer.want_whole()
        elif not transfer.asked.done():
            transfer.want_ranges()
        if not ahead:
            transfer.ask()
        return transfer

    async def _run(self, transfer: Transfer) -> None:
        started = time.monotonic()
        try:
            await self._fill(transfer)
            if transfer.arrival.phase is Phase.VERIFIED:
                await self._commit(transfer)
                self._metrics.blob_seconds.observe(time.monotonic() - started)
            else:
                await self._close(transfer, Unavailable(f"{transfer.digest} was suspended"))
            transfer.finished.set_result(None)
        except EagleError as error:
            self._metrics.blob_failures.labels(type(error).__name__).inc()
            level = logging.INFO if isinstance(error, Denied) else logging.WARNING
            log.log(level, "fetching %s failed: %s", transfer.digest, error)
            await self._close(transfer, error)
            transfer.finished.set_exception(error)
        finally:
            try:
                if not transfer.finished.done():
                    await self._abandon(transfer)
            finally:
                self._running.pop(transfer.digest, None)

    async def _fill(self, transfer: Transfer) -> None:
        """Run a source until the blob is verified, or nobody wants more of it for a while."""
        name = transfer.digest[7:19]
        resuming = asyncio.create_task(_resume(transfer), name=f"resume-{name}")
        verifier = asyncio.create_task(_verify(transfer, resuming), name=f"verify-{name}")
        try:
            while True:
                try:
                    await transfer.source(transfer)
                except Denied as error:
                    if not transfer.change_source():
                        raise
                    log.info("%s goes on with another reader's rights: %s", transfer.digest, error)
                    continue
                arrival = transfer.arrival
                if arrival.complete:
                    await resuming
                if arrival.complete:
                    await verifier
                    if arrival.error is not None:
                        raise arrival.error
                    return
                if not await _more_wanted(arrival, self._linger_s):
                    transfer.closing = True
                    return
        finally:
            for task in (resuming, verifier):
                task.cancel()
            await asyncio.gather(resuming, verifier, return_exceptions=True)

    async def _commit(self, transfer: Transfer) -> None:
        made = [transfer.torrents[index] for index in sorted(transfer.torrents)]
        directory = transfer.arrival.directory
        torrents = [await self.seeding.complete(each, directory) for each in made]
        await self._cache.commit(transfer.arrival, pack_torrents(torrents))
        if self._cache.is_resident(transfer.digest):
            self.seeding.keep(transfer.digest, torrents)

    async def _close(self, transfer: Transfer, error: EagleError) -> None:
        """Tell everybody who waits that no more bytes come; keep what may be resumed."""
        transfer.closing = True
        if not transfer.opened.done():
            transfer.opened.set_exception(error)
        if transfer.arrives:
            transfer.arrival.fail(error)
            if isinstance(error, WrongContent):
                self._metrics.wrong_content.labels(transfer.arrival.source).inc()
            await self._cache.suspend(transfer.arrival)

    async def _abandon(self, transfer: Transfer) -> None:
        """It was cancelled, or hit a fault of ours: whoever waits must not wait for ever."""
        error = Unavailable(f"the transfer of {transfer.digest} was given up")
        try:
            await self._close(transfer, error)
        finally:
            transfer.finished.set_exception(error)

    def _withdraw(self, digest: Digest) -> None:
        """The cache is about to delete a blob's files."""
        transfer = self._running.get(digest)
        for torrent in transfer.torrents.values() if transfer is not None else ():
            self._swarm.remove(torrent.info_hash)


async def _resume(transfer: Transfer) -> None:
    await asyncio.wait([transfer.opened])
    if transfer.begun:
        await transfer.offer_resumed()


async def _verify(transfer: Transfer, resuming: asyncio.Task[None]) -> None:
    """Only what has been read once: a segment that cannot be is missing by then."""
    await asyncio.shield(resuming)
    if transfer.begun:
        await transfer.arrival.verify()


async def _more_wanted(arrival: Arrival, linger_s: float) -> bool:
    """Wait until somebody wants what is missing; False after a while without readers."""
    while not arrival.wants_more():
        try:
            async with asyncio.timeout(None if arrival.readers else linger_s):
                await arrival.changed()
        except TimeoutError:
            if not arrival.readers:
                return arrival.wants_more()
    return True
