"""A transfer's source that draws on the swarm, then on the origin."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from eagle_node.base.errors import Denied, NoSpace
from eagle_node.blobs.arrival import Arrival
from eagle_node.peer import events as m
from eagle_node.peer.discretion import ANY_READER
from eagle_node.peer.download import DownloadRun
from eagle_node.peer.holders import HolderSource
from eagle_node.peer.means import Job, Means
from eagle_node.peer.parts import PartSource
from eagle_node.peer.stream import failure_of
from eagle_node.peer.succession import Line
from eagle_node.registry.names import BlobRef
from eagle_node.runtime.sockets import Address
from eagle_node.runtime.tasks import TaskSet
from eagle_node.swarm.transfer import Source, Transfer

log = logging.getLogger(__name__)

_SEEDER_PATIENCE = 3
"""Stalls that a seeder is granted for the next byte of a part: it may come from the origin."""


class SwarmFill:
    """Fills one blob's transfer; callable as its source, once per wave of demand."""

    def __init__(
        self,
        means: Means,
        blob: BlobRef,
        authorization: str | None,
        line: Line,
        origin: Source,
    ) -> None:
        self._means = means
        self._blob = blob
        self._authorization = authorization
        self._origin = origin
        self._reader = ANY_READER
        self._is_private = False
        """Seeders were refused what this node may have: they were not shown its credentials."""
        self._job = Job(
            means=means,
            blob=blob,
            line=line,
            shown=self._shown,
            parts=self._part_source(line),
        )

    async def __call__(self, transfer: Transfer) -> None:
        """Bring what is missing and wanted; raises the last source's error."""
        registry = self._blob.repository.registry
        self._reader = await self._means.discretion.reader(registry, self._authorization)
        try:
            if not self._is_private:
                await self._swarm_fill(transfer)
                return
        except Denied as error:
            if not self._withholds():
                raise
            self._is_private = True
            log.info("%s comes from its registry, as a private blob: %s", self._blob, error)
        await self._origin_fill(transfer)

    def _part_source(self, line: Line) -> PartSource:
        means = self._means

        def seeders() -> Sequence[Address]:
            return means.metainfo.live_first(line.order())

        return PartSource(
            metainfo=means.metainfo,
            seeders=seeders,
            blob=self._blob,
            shown=self._shown,
            node_id=means.node().node_id,
            silence_s=_SEEDER_PATIENCE * means.config.stall_s,
            download=means.download,
            metrics=means.metrics,
            holders=HolderSource(
                metainfo=means.metainfo,
                tracker=means.tracker,
                blocks=means.blocks,
                acquaintance=means.acquaintance,
                seeders=seeders,
                blob=self._blob,
                node=means.node,
                silence_s=means.config.stall_s,
                download=means.download,
                metrics=means.metrics,
                clock=means.clock,
            ),
        )

    def _shown(self, seeder: Address) -> str:
        return self._means.discretion.shown(self._reader, seeder)

    def _withholds(self) -> bool:
        """Whether a seeder may have been refused for want of credentials that are here."""
        discretion = self._means.discretion
        return any(discretion.withholds(self._reader, each) for each in self._job.line.seeders)

    async def _swarm_fill(self, transfer: Transfer) -> None:
        self._job.line.look()
        only_parts = transfer.begun and not transfer.arrival.missing()
        if only_parts and await self._parts_suffice(transfer):
            return
        match await DownloadRun(self._job, transfer).run():
            case m.GiveUp(error):
                raise error
            case m.GoToOrigin(reason):
                # What has led nowhere, or to other bytes, is not taken up again.
                self._job.torrents.clear()
                transfer.learnt.clear()
                await self._go_to_origin(transfer, reason)

    async def _parts_suffice(self, transfer: Transfer) -> bool:
        """Bring what is wanted while that is only parts of segments; whether that was all."""
        arrival = transfer.arrival
        arrival.source = "swarm"
        async with TaskSet() as tasks:
            parts = tasks.spawn(failure_of(self._job.parts.bring(transfer)), name="parts")
            more = tasks.spawn(_segment_is_missing(arrival), name="parts-demand")
            await asyncio.wait([parts, more], return_when=asyncio.FIRST_COMPLETED)
            if not parts.done():
                return False
            error = await parts
        match error:
            case None:
                return not arrival.wants_more()
            case Denied() | NoSpace():
                raise error
            case _:
                await self._go_to_origin(transfer, str(error))
                return True

    async def _go_to_origin(self, transfer: Transfer, reason: str) -> None:
        log.warning("%s: %s; fetching it from the origin", self._blob.digest, reason)
        self._means.metrics.fallbacks.labels("origin").inc()
        await self._origin_fill(transfer)

    async def _origin_fill(self, transfer: Transfer) -> None:
        async with TaskSet() as tasks:
            if transfer.begun:
                transfer.arrival.source = "origin"
                tasks.spawn(self._means.report(), name="download-report")
            await self._origin(transfer)


async def _segment_is_missing(arrival: Arrival) -> None:
    """Wait until a whole segment is wanted that is not here."""
    while not arrival.missing():
        await arrival.changed()
