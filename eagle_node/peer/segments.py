"""The segments of a download that come from the swarm: their torrents, from offer to completion."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

from eagle_node.base.ids import InfoHash
from eagle_node.peer import events as m
from eagle_node.peer.means import Job
from eagle_node.swarm.events import TorrentEvent
from eagle_node.swarm.transfer import Transfer
from eagle_node.tracker.schema import PeerAddress

log = logging.getLogger(__name__)

SUSPICIOUS_S = 0.75
"""Without progress for so long, it is worth asking what is wrong with who feeds a segment."""
PATIENCE_S = 2.0
"""For so long a segment may come from whom it was started with, once the plan names another."""


class SegmentFetches:
    """Those of one run; ``report`` gets what libtorrent says of them."""

    def __init__(
        self, job: Job, transfer: Transfer, report: Callable[[TorrentEvent], None]
    ) -> None:
        self._job = job
        self._means = job.means
        self._parents = job.parents
        self._transfer = transfer
        self._report = report
        self._prepared: set[int] = set()
        self._active: dict[int, int] = {}
        """Started, with the most bytes that each has had so far."""
        self._moved_at: dict[int, float] = {}
        """When that was, of each that is active."""
        self._elsewhere: dict[int, float] = {}
        """Since when the plan names another parent than who feeds it."""

    def prepare(self, index: int) -> None:
        """Let children connect for a segment; `NoSpace` when there is none for its bytes."""
        torrent = self._job.torrents[index]
        arrival = self._transfer.arrival
        self._transfer.reserve(index)
        arrival.writing.add(index)
        self._prepared.add(index)
        self._transfer.fetching[torrent.info_hash] = index
        self._means.announces.offer(torrent.info_hash, partial(self._named, index))
        self._means.swarm.prepare(torrent, arrival.directory.path, observer=self._report)

    def start(self, index: int) -> None:
        """Dial its parent."""
        self._active[index] = 0
        self._moved_at[index] = self._means.clock()
        log.debug("%s: segment %d started", self._job.blob.digest, index)
        trackers = [self._means.announces.url, *self._means.trackers()]
        self._means.swarm.start(self._job.torrents[index].info_hash, trackers)

    def dial(self, stripe: int, peers: Sequence[PeerAddress]) -> None:
        """Have what is active of a stripe ask whom to dial, and be told of ``peers``."""
        for index in self._active if peers else ():
            if self._parents.stripe_of(index) == stripe % self._parents.stripes:
                self._redirect(index, peers)

    def turn_to_plan(self) -> None:
        """Dial the planned parent for what is active, and hangs on somebody else.

        Those who stand still go first: who feeds them may be behind this node by now, and wait for
        it for ever, or the plan named nobody when they were started. Others have `PATIENCE_S` to
        end as they have begun.
        """
        now = self._means.clock()
        for index, moved_at in self._moved_at.items():
            planned = self._parents.planned(self._parents.stripe_of(index))[:1]
            if not planned or self._parents.feeds(index) in planned:
                self._elsewhere.pop(index, None)
                continue
            since = self._elsewhere.setdefault(index, now)
            if now - moved_at >= SUSPICIOUS_S or now - since >= PATIENCE_S:
                self._redirect(index, planned)

    def finished(self, info_hash: InfoHash) -> int | None:
        """A torrent is whole: the segment that it was, unless it was left before."""
        index = self._index_of(info_hash)
        if index is not None:
            self._active.pop(index, None)
            self._moved_at.pop(index, None)
            self._elsewhere.pop(index, None)
            self._parents.forget(index)
            self._prepared.discard(index)
            self._transfer.fetching.pop(info_hash, None)
            log.debug("%s: segment %d finished", self._job.blob.digest, index)
            self._means.announces.withdraw(info_hash)
        return index

    def progressed(self, info_hash: InfoHash, done: int) -> int | None:
        """The segment that has more bytes, ``done``, than ever before, if it is one of these.

        One that is sent wrong bytes again and again has not: it makes no progress.
        """
        index = self._index_of(info_hash)
        if index is None or done <= self._active.get(index, 0):
            return None
        self._active[index] = done
        self._moved_at[index] = self._means.clock()
        return index

    def parent_state(self, stripe: int) -> m.Parent:
        """What those whom this node has dialled could send; its children are not among them."""
        connections, torrents = self._means.swarm.connections, self._job.torrents
        offers = [
            has_more
            for index in self._active
            if self._parents.stripe_of(index) == stripe
            for endpoint, has_more in connections.offers(torrents[index].info_hash)
            if self._parents.has_dialled(endpoint)
        ]
        if not offers:
            return m.Parent.GONE
        return m.Parent.HOLDING if any(offers) else m.Parent.STARVED

    def release(self) -> None:
        """Leave the torrents that did not finish."""
        for index in self._prepared:
            info_hash = self._job.torrents[index].info_hash
            self._means.announces.withdraw(info_hash)
            self._means.swarm.remove(info_hash)
            self._transfer.arrival.writing.discard(index)
        self._prepared.clear()
        self._active.clear()
        self._moved_at.clear()
        self._elsewhere.clear()
        self._parents.release()
        self._transfer.fetching.clear()

    def _redirect(self, index: int, peers: Sequence[PeerAddress]) -> None:
        self._parents.redirect(index, peers)
        self._means.swarm.announce(self._job.torrents[index].info_hash)

    async def _named(self, index: int) -> Sequence[PeerAddress]:
        """Whom libtorrent is to dial for a segment, once there is somebody."""
        await self._parents.known.wait()
        return self._parents.name_for(index, active=index in self._active)

    def _index_of(self, info_hash: InfoHash) -> int | None:
        for index in self._prepared:
            if self._job.torrents[index].info_hash == info_hash:
                return index
        return None
