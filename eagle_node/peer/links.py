"""Finds out how fast this node's link is, while nothing else uses it, and tells the trackers.

They name the others that it is measured against (`tracker.ring`), and forget what is old; a node
remembers its results so as to tell a tracker that is new. Nodes on one host are not measured: no
link is between them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from eagle_node.base.errors import Unavailable
from eagle_node.base.ids import NodeId
from eagle_node.metrics.instruments import Metrics
from eagle_node.runtime.budget import ByteBudget
from eagle_node.runtime.clock import Clock, monotonic
from eagle_node.runtime.sockets import Address
from eagle_node.swarm.blocks import BlockClient
from eagle_node.swarm.gauge import FASTEST, gauge, make_gauge
from eagle_node.swarm.session import Swarm
from eagle_node.swarm.torrents import SegmentTorrent
from eagle_node.tracker.health import GAUGE_S
from eagle_node.tracker.schema import MAX_GAUGED, Gauged, NodeInfo, PeerAddress

log = logging.getLogger(__name__)

_TOLD = 0.7
"""Of what the gauge can tell apart: links that seem faster may be of any rate."""


class LinkGauge:
    """Offers the gauge to others, and measures against those that `measure` is called with.

    ``is_idle`` tells whether nothing uses the link.
    """

    def __init__(
        self,
        *,
        node: Callable[[], NodeInfo],
        swarm: Swarm,
        blocks: BlockClient,
        directory: Path,
        is_idle: Callable[[], bool],
        download: ByteBudget,
        metrics: Metrics,
        clock: Clock = monotonic,
    ) -> None:
        self._node = node
        self._swarm = swarm
        self._blocks = blocks
        self._directory = directory
        self._is_idle = is_idle
        self._download = download
        self._metrics = metrics
        self._clock = clock
        self._results: dict[NodeId, tuple[Gauged, float]] = {}
        """And since when they are known; the latest at the end."""
        self._named: asyncio.Queue[PeerAddress] = asyncio.Queue()
        self._waiting: set[PeerAddress] = set()

    @property
    def results(self) -> tuple[Gauged, ...]:
        """What is known, and not too old."""
        oldest = self._clock() - GAUGE_S
        return tuple(gauged for gauged, at in self._results.values() if at > oldest)[-MAX_GAUGED:]

    @property
    def rate(self) -> int:
        """Bytes/s that come from the best of the others; 0: unknown, or too fast to be told."""
        rate = max((gauged.rate for gauged in self.results), default=0)
        return rate if rate < _TOLD * FASTEST else 0

    def measure(self, others: Sequence[PeerAddress]) -> None:
        """Measure against ``others`` soon."""
        own = self._node().host
        for other in others:
            if other not in self._waiting and other.host != own:
                self._waiting.add(other)
                self._named.put_nowait(other)

    async def settled(self) -> None:
        """Return once all that were named have had their turn."""
        await self._named.join()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            torrent = await asyncio.to_thread(
                make_gauge, self._directory, root_certificate=self._swarm.root_certificate
            )
        except Unavailable as error:
            log.warning("links are not measured: %s", error)
            return
        self._swarm.seed_apart(torrent, self._directory)
        while True:
            other = await self._named.get()
            if self._is_idle():
                await self._measure(other, torrent)
            self._waiting.discard(other)
            self._named.task_done()

    async def _measure(self, other: PeerAddress, torrent: SegmentTorrent) -> None:
        holder, rate = Address(other.host, other.port), 0
        try:
            rate = await gauge(self._blocks, holder, torrent, download=self._download)
        except Unavailable as error:
            log.debug("%s", error)
        if not self._is_idle():
            return
        log.debug("%d bytes/s came from %s", rate, holder)
        self._results.pop(other.node_id, None)
        gauged = Gauged(node_id=other.node_id, rate=rate)
        self._results[other.node_id] = gauged, self._clock()
        while len(self._results) > MAX_GAUGED:
            del self._results[next(iter(self._results))]
        self._metrics.link_rate_bytes.set(max(each.rate for each in self.results))
