"""Tells the trackers what this node offers: changes in batches, everything now and then.

The first advert and one every few intervals (at a random offset, so that nodes that start together
do not report together) carry everything; in between go changes, how far a blob is every
`_PROGRESS_S`, and empty ones as signs of life.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from eagle_node.base.digest import Digest
from eagle_node.base.errors import Unavailable
from eagle_node.blobs.segments import layout_of
from eagle_node.swarm.torrents import SegmentTorrent
from eagle_node.swarm.transfer import Transfer
from eagle_node.swarm.transfers import Transfers
from eagle_node.tracker.client import TrackerClient
from eagle_node.tracker.schema import Advert, Gauged, Holding, NodeInfo, PeerAddress

log = logging.getLogger(__name__)

_BATCH_S = 1.0
_PROGRESS_S = 4.0
"""Between adverts that tell of nothing but more segments: who needs to know of them can wait, and
in a wave they all meet on one tracker's link, with what it downloads itself."""
_SOON_S = 0.3
"""How long somebody may wait for a report."""
_SPREAD_S = 2.0
"""Over which nodes report to a tracker that has just become one."""
_FAREWELL_S = 0.5
"""What stopping may cost where no tracker answers."""
_FULL_EVERY = 10
"""Intervals between full adverts."""


class Advertiser:
    """Keeps the trackers informed; run it as a task."""

    def __init__(
        self,
        node: Callable[[], NodeInfo],
        tracker: TrackerClient,
        transfers: Transfers,
        interval_s: float,
    ) -> None:
        self._node = node
        self._tracker = tracker
        self._transfers = transfers
        self._interval_s = interval_s
        self._sent: dict[Digest, Holding] = {}
        self._reachable = True
        self._full_due = 0.0
        self._alive_due = 0.0
        self._progress_due = 0.0
        self._turn = asyncio.Lock()
        self.gauged: Callable[[], tuple[Gauged, ...]] = tuple
        """What this node has measured of its link."""
        self._told: tuple[Gauged, ...] = ()
        self.on_gauges: list[Callable[[Sequence[PeerAddress]], None]] = []
        """Called with the nodes against which this one should measure its link."""
        self.on_errands: list[Callable[[Sequence[str]], None]] = []
        """Called with the trackers at which something waits for this node."""

    async def run(self) -> None:
        """Until cancelled; then tell that there is nothing here any more."""
        try:
            while True:
                await self._report()
                await asyncio.sleep(_BATCH_S)
        finally:
            await self._say_farewell()

    def roles_changed(self) -> None:
        """Tell everything soon, at a random offset: a tracker may be new, or this node's roles."""
        soon = asyncio.get_running_loop().time() + random.uniform(0.0, _SPREAD_S)
        self._full_due = min(self._full_due, soon)

    async def report_soon(self) -> None:
        """Tell what has changed now, so that plans made from here on know it.

        Returns after a short while even when no tracker answers.
        """
        report = asyncio.ensure_future(self._report(soon=True))
        report.add_done_callback(_log_failure)
        await asyncio.wait([report], timeout=_SOON_S)

    async def _report(self, *, soon: bool = False) -> None:
        async with self._turn:
            now = asyncio.get_running_loop().time()
            transfers = self._transfers
            held = holdings(transfers.seeding.seeded(), transfers.running())
            held |= lent_holdings(transfers) if transfers.seeding.lender is not None else {}
            full = now >= self._full_due
            progress = soon or full or now >= self._progress_due
            told = held if progress else {each: self._without_progress(held[each]) for each in held}
            advert = self._advert(told, full=full)
            news = advert.held or advert.dropped or advert.gauged
            if full or news or now >= self._alive_due:
                if full:
                    spread = random.uniform(0.5, 1.0)
                    self._full_due = now + _FULL_EVERY * self._interval_s * spread
                if await self._send(advert):
                    self._sent, self._told = told, advert.gauged or self._told
                    self._alive_due = now + self._interval_s / 2
                    if progress:
                        self._progress_due = now + _PROGRESS_S

    def _without_progress(self, now: Holding) -> Holding:
        """What was told before, if there is nothing but more segments to tell."""
        before = self._sent.get(now.digest)
        if before is None or before.have is None or now.have is None:
            return now
        return before if replace(now, have=before.have) == before else now

    async def _say_farewell(self) -> None:
        """Nobody should be sent here; a tracker that does not hear it forgets this node later."""
        advert = Advert(node=self._node(), full=True, held=(), dropped=())
        try:
            async with asyncio.timeout(_FAREWELL_S):
                await self._tracker.advertise(advert)
        except (Unavailable, TimeoutError) as error:
            log.debug("no tracker heard the farewell: %s", error)

    def _advert(self, held: Mapping[Digest, Holding], *, full: bool) -> Advert:
        changed = [row for digest, row in held.items() if full or self._sent.get(digest) != row]
        dropped = () if full else tuple(self._sent.keys() - held.keys())
        gauged = self.gauged()
        return Advert(
            node=self._node(),
            full=full,
            held=tuple(changed),
            dropped=dropped,
            gauged=gauged if full or gauged != self._told else (),
        )

    async def _send(self, advert: Advert) -> bool:
        try:
            if await self._tracker.advertise(advert):
                self._full_due = 0.0
        except Unavailable as error:
            if self._reachable:
                log.warning("%s", error)
            self._reachable = False
            self._full_due = 0.0
            return False
        if waiting := self._tracker.with_errands():
            for listener in self.on_errands:
                listener(waiting)
        if named := self._tracker.gauges():
            for each in self.on_gauges:
                each(named)
        if not self._reachable:
            log.info("trackers take adverts again")
        self._reachable = True
        return True


def _log_failure(report: asyncio.Future[None]) -> None:
    if not report.cancelled() and (error := report.exception()) is not None:
        log.error("an advert failed", exc_info=error)


def holdings(
    seeded: Mapping[Digest, Sequence[SegmentTorrent]], running: Mapping[Digest, Transfer]
) -> dict[Digest, Holding]:
    """What there is to tell: committed blobs that are seeded, and segments of arriving ones."""
    held: dict[Digest, Holding] = {}
    for digest, torrents in seeded.items():
        if torrents:
            hashes = tuple(torrent.info_hash for torrent in torrents)
            size = torrents[-1].segment.stop
            held[digest] = Holding(digest=digest, size=size, have=None, info_hashes=hashes)
    for digest, transfer in running.items():
        if digest not in held and transfer.begun and transfer.swarmed:
            held[digest] = _partial(digest, transfer)
    return held


def lent_holdings(transfers: Transfers) -> dict[Digest, Holding]:
    """Blobs in files of others, which are offered at the lender's port."""
    port = transfers.seeding.lender.port if transfers.seeding.lender is not None else 0
    return {
        digest: replace(holding, port=port)
        for digest, holding in holdings(transfers.seeding.lent(), {}).items()
        if digest not in transfers.running()
    }


def _partial(digest: Digest, transfer: Transfer) -> Holding:
    size = transfer.arrival.layout.size
    bitmap = bytearray((len(layout_of(size).segments) + 7) // 8)
    for index in transfer.torrents:
        bitmap[index // 8] |= 0x80 >> index % 8
    arrival = transfer.arrival
    fetching = arrival.source == "origin" and arrival.whole_wanted
    return Holding(digest=digest, size=size, have=bytes(bitmap), fetching=fetching)
