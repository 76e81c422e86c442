"""The tracker without HTTP: keeps the table and the machine in step."""

from __future__ import annotations

import asyncio
import heapq
import zlib
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Self

from eagle_node.base.digest import Digest
from eagle_node.base.ids import InfoHash, NodeId
from eagle_node.config.tree import TrackerConfig
from eagle_node.runtime.clock import Clock
from eagle_node.runtime.tasks import TaskSet
from eagle_node.store.memory import Memory
from eagle_node.tracker.distance import distance, place_of
from eagle_node.tracker.machine import STAND_BACK_S, Machine, Torrent, WaveKey, key_of
from eagle_node.tracker.schema import (
    HOLD_S,
    Advert,
    Holder,
    NodeInfo,
    PeerAddress,
    Plan,
    PlanRequest,
    address_of,
)
from eagle_node.tracker.table import HoldingTable
from eagle_node.tracker.wire import Announce, SwarmPeer, Tally

_SWEEPS = 4
"""Looks for nodes that are gone, per interval."""

Watched = tuple[WaveKey, NodeId]
"""A downloader and its blob."""


_NEAREST = 16
"""Holders that one node is told of."""


class Directory:
    """Who holds what, and who should take it from whom."""

    def __init__(self, config: TrackerConfig, database_path: Path | None, clock: Clock) -> None:
        self._interval_s = config.interval_s
        self._clock = clock
        self._table = HoldingTable(database_path)
        self._machine = Machine(interval_s=config.interval_s)
        self._order = asyncio.Lock()
        """Held while table and machine take in the same thing, so that they do so in one order."""
        self._watchers: dict[Watched, asyncio.Event] = {}
        self._gone: set[NodeId] = set()
        """Nodes that the machine has forgotten, and the table not yet."""
        self._forgetting = Memory("which nodes are gone")
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._table)
            self._machine.restore(await self._table.nodes(), self._clock())
            tasks = await stack.enter_async_context(TaskSet())
            tasks.spawn(self._sweep(), name="tracker expiry")
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def plan(self, request: PlanRequest) -> Plan:
        """Peers for a node that downloads a blob, per stripe and parent first.

        One that names the revision it has got waits for another, `HOLD_S` at the most.
        """
        key = key_of(request)
        await self._load(key)
        if self._machine.lets_others_in(request):
            await asyncio.sleep(STAND_BACK_S)
        plan = self._machine.plan(request, self._clock())
        self._wake(but=(key, request.node.node_id))
        if plan.revision == request.after:
            await self._changes((key, request.node.node_id))
            plan = self._machine.current_plan(request, self._clock())
        return plan

    async def advertise(self, advert: Advert) -> bool:
        """Take in what a node holds; whether it should say everything that it holds."""
        async with self._order:
            await self._table.apply(advert)
            want_full = self._machine.advertise(advert, self._clock())
        self._wake()
        return want_full

    def gauges_for(self, node_id: NodeId) -> tuple[PeerAddress, ...]:
        """Against whom a node should measure its link."""
        return self._machine.gauges_for(node_id, self._clock())

    async def holders(self, digest: Digest, group: str, near: str = "") -> list[Holder]:
        """The live nodes of ``group`` that have a blob, or parts of it.

        ``near``, a node's id: some only, the nearest to it and those with all of it first.
        """
        found = []
        for row in await self._table.holders(digest):
            node = self._machine.node(row.node_id)
            if node is not None and node.group == group:
                listener = replace(node, port=row.port or node.port)
                found.append((node, Holder(peer=address_of(listener), have=row.have)))
        if near:
            asker = self._machine.node(NodeId(near))
            found = heapq.nsmallest(_NEAREST, found, key=lambda each: _far(each, near, asker))
        return [holder for _, holder in found]

    def nodes(self) -> list[NodeInfo]:
        """The live nodes."""
        return self._machine.nodes()

    async def announce(self, announce: Announce) -> tuple[list[SwarmPeer], Tally] | None:
        """Peers for a BitTorrent client, nearest first; None for a torrent that nobody holds."""
        torrent = await self._table.torrent(announce.info_hash)
        if torrent is None:
            return self._machine.announce_other(announce, self._clock())
        await self._load((self._machine.group_of(announce), torrent.digest, torrent.size))
        return self._machine.announce(announce, torrent, self._clock())

    async def scrape(self, info_hash: InfoHash) -> Tally | None:
        """How many have a torrent in the unnamed group; None for one that nobody holds."""
        torrent: Torrent | None = await self._table.torrent(info_hash)
        if torrent is None:
            return None
        await self._load(("", torrent.digest, torrent.size))
        return self._machine.scrape(torrent, "")

    async def expire(self) -> None:
        """Forget nodes and strangers that missed two intervals."""
        async with self._order:
            self._gone.update(self._machine.expire(self._clock()))
            self._wake()
            self._gone = {node_id for node_id in self._gone if not self._machine.node(node_id)}
            if self._gone:
                forgotten = await self._forgetting.attempt(self._table.forget(self._gone))
                if forgotten is not None:
                    self._gone.clear()

    async def _load(self, key: WaveKey) -> None:
        if self._machine.is_loaded(key):
            return
        async with self._order:
            if not self._machine.is_loaded(key):
                rows = await self._table.holders(key[1])
                self._machine.load(key, rows, self._clock())

    async def _changes(self, watched: Watched) -> None:
        """Wait until a plan has changed, or for a while."""
        changed = self._watchers.setdefault(watched, asyncio.Event())
        try:
            async with asyncio.timeout(HOLD_S):
                await changed.wait()
        except TimeoutError:
            pass
        finally:
            if self._watchers.get(watched) is changed:
                del self._watchers[watched]

    def _wake(self, but: Watched | None = None) -> None:
        for watched in self._machine.take_changed() - {but}:
            if (changed := self._watchers.pop(watched, None)) is not None:
                changed.set()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s / _SWEEPS)
            await self.expire()


def _far(found: tuple[NodeInfo, Holder], near: str, asker: NodeInfo | None) -> tuple[object, ...]:
    """Sort key; who is equally far is in another order for each node that asks."""
    node, holder = found
    apart = distance(place_of(node), place_of(asker)) if asker is not None else (0, 0)
    return (apart, node.seeder, holder.have is not None, zlib.crc32((near + node.node_id).encode()))
