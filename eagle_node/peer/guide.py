"""Asks the trackers whom a download is to draw on, and finds out who answers."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable
from contextlib import suppress

from eagle_node.base.errors import Unavailable
from eagle_node.peer import events as m
from eagle_node.peer.means import Job
from eagle_node.peer.parents import UNKNOWN
from eagle_node.peer.reach import answers, round_trip_s
from eagle_node.peer.segments import SegmentFetches
from eagle_node.runtime.sockets import Address
from eagle_node.swarm.transfer import Transfer
from eagle_node.tracker.schema import PeerAddress, Plan, PlanRequest

log = logging.getLogger(__name__)

_REPLAN_S = 0.5
"""Until the trackers are asked again when none answers."""
_REPLAN_PAUSE_S = 0.1
"""Between two changes of a plan, at the least: a wave that forms changes it often."""
_PLAN_PATIENCE_S = 1.0
"""How long the first plan may take: then the seeder itself is the parent."""


class Guide:
    """Keeps the parents of one run, and has its segments dial them."""

    def __init__(
        self,
        job: Job,
        transfer: Transfer,
        segments: SegmentFetches,
        report: Callable[[m.Event], None],
    ) -> None:
        self._job = job
        self._means = job.means
        self._parents = job.parents
        self._transfer = transfer
        self._segments = segments
        self._report = report

    async def ask(self, asked: m.AskPlan) -> None:
        """Ask the tracker whom to connect to, and dial for what is active already."""
        digest = self._job.blob.digest
        if asked.parent_failed:
            parent = self._parents.blame(asked.stripe, self._means.clock(), gone=asked.gone)
            if parent is not None:
                self._means.metrics.fallbacks.labels("parent").inc()
                log.info("%s: no progress from %s:%d", digest, parent.host, parent.port)
        try:
            self._take(await self._means.tracker.plan(self._request()))
        except Unavailable as error:
            log.warning("no plan for %s: %s", digest, error)
            if asked.parent_failed:
                self._parents.rotate()
        if asked.parent_failed:
            self._segments.dial(asked.stripe, self._parents.planned(asked.stripe)[:1])
        self._report(m.Planned(self._parents.stripes))
        await self._measure()

    async def follow(self) -> None:
        """Take over what the tracker changes in the plan while the download runs."""
        await self._parents.known.wait()
        while True:
            before = self._parents.revision
            try:
                asked = self._request(after=before)
                plan = await self._means.tracker.plan(asked, done=self._done)
            except Unavailable:
                await asyncio.sleep(_REPLAN_S)
                continue
            if plan.revision != before:
                self._take(plan)
                self._report(m.Planned(self._parents.stripes))
                self._segments.turn_to_plan()
                await self._measure()
            await asyncio.sleep(_REPLAN_PAUSE_S)

    async def probe(self, stripe: int, pause_s: float) -> None:
        """Tell a parent that is gone or frozen from one that has nothing, or hung up once."""
        await asyncio.sleep(pause_s)
        parent = self._parents.feeder(stripe)
        if parent is None:
            return
        if await answers(parent):
            self._segments.dial(stripe, (parent,))
        elif parent == self._parents.feeder(stripe):
            self._report(m.ParentGone(stripe))

    def fall_back_to(self, seeder: Address, port: int) -> None:
        """Without a plan the seeder itself is the parent; ``port``: its swarm's, 0 if it has none.

        A seeder that is known by name only is left to the plan: announces name addresses.
        """
        if port and not self._parents.known.is_set():
            with suppress(ValueError):
                host = str(ipaddress.ip_address(seeder.host))
                peer = PeerAddress(node_id=UNKNOWN, host=host, port=port)
                loop = asyncio.get_running_loop()
                loop.call_later(_PLAN_PATIENCE_S, self._use_seeder, peer)

    def release(self) -> None:
        """Nothing is drawn from the parents any more."""
        self._means.window.released(self)

    def _take(self, plan: Plan) -> None:
        self._parents.take(plan, self._means.node().node_id)
        firsts = ", ".join(f"{each.host}:{each.port}" for each in self._parents.firsts().values())
        log.debug("%s: planned to come from %s", self._job.blob.digest, firsts or "nobody")

    def _use_seeder(self, seeder: PeerAddress) -> None:
        if not self._parents.known.is_set():
            self._parents.take_only(seeder)
            self._segments.dial(0, (seeder,))
            self._report(m.Planned(self._parents.stripes))

    async def _measure(self) -> None:
        """Find out how far those are from whom this node downloads for the first time."""
        parents = self._parents.firsts()
        for host in self._means.window.draws_on(self, parents):
            if (found := await round_trip_s(parents[host])) is not None:
                self._means.window.measured(host, found)

    def _done(self) -> int:
        return len(self._transfer.arrival.have)

    def _request(self, *, after: str = "") -> PlanRequest:
        now = self._means.clock()
        return PlanRequest(
            node=self._means.node(),
            digest=self._job.blob.digest,
            size=self._transfer.arrival.layout.size,
            failed=self._parents.failed(now),
            gone=self._parents.gone(now),
            done=self._done(),
            partial=not self._transfer.arrival.whole_wanted,
            after=after,
        )
