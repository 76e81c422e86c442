"""Performs one run of a download: what its machine wants done, and tells it what has happened."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from eagle_node.base.errors import EagleError, NoSpace, Unavailable
from eagle_node.peer import events as m
from eagle_node.peer.guide import Guide
from eagle_node.peer.machine import Download
from eagle_node.peer.means import Job
from eagle_node.peer.segments import SUSPICIOUS_S, SegmentFetches
from eagle_node.peer.stream import MetainfoStream, wanted_of
from eagle_node.runtime.tasks import TaskSet
from eagle_node.swarm.events import (
    PeerLost,
    PieceRejected,
    TorrentEvent,
    TorrentFailed,
    TorrentFinished,
    TorrentProgressed,
)
from eagle_node.swarm.transfer import Transfer

log = logging.getLogger(__name__)

_TICK_S = 0.25
_MESH = 8
"""Peers to dial when the plan's parents make no progress."""


class DownloadRun:
    """Brings what is wanted of a blob from the swarm, once; `run` tells how that ended."""

    def __init__(self, job: Job, transfer: Transfer) -> None:
        self._job = job
        self._means = job.means
        self._transfer = transfer
        self._tasks = TaskSet()
        self._events: asyncio.Queue[m.Event | TorrentEvent] = asyncio.Queue()
        report = self._events.put_nowait
        self._segments = SegmentFetches(job, transfer, report)
        self._guide = Guide(job, transfer, self._segments, report)
        self._metainfo = MetainfoStream(job, transfer, report, on_seeder=self._guide.fall_back_to)
        self._reading: asyncio.Task[None] | None = None
        self._wrong_pieces = 0
        self._machine = Download(
            seeders=len(job.line.seeders),
            next_in_line=job.line.own_turn,
            elected=job.line.elected,
            standing=job.line.standing,
            window=job.means.config.window,
            stall_s=job.means.config.stall_s,
            now=job.means.clock(),
        )

    async def run(self) -> m.Ending:
        """Handle events until the machine ends the download; raises `NoSpace`, `Unavailable`."""
        async with self._tasks as tasks:
            tasks.spawn(self._tick(), name="download-tick")
            tasks.spawn(self._watch_demand(), name="download-demand")
            tasks.spawn(self._bring_parts(), name="download-parts")
            tasks.spawn(self._guide.follow(), name="download-follow-plan")
            effects = self._machine.start()
            try:
                while (ending := self._perform(effects)) is None:
                    event = await self._next_event()
                    effects = self._machine.handle(event, self._means.clock()) if event else ()
            finally:
                self._release()
        return ending

    def _perform(self, effects: Sequence[m.Effect]) -> m.Ending | None:
        """Perform effects in order; the one that ends the download, if it is among them."""
        for effect in effects:
            match effect:
                case m.PrepareSegment(index):
                    self._segments.prepare(index)
                case m.StartSegment(index):
                    self._segments.start(index)
                case m.OpenStream(attempt):
                    if self._reading is not None:
                        self._reading.cancel()
                    reading = self._metainfo.read(attempt)
                    self._reading = self._tasks.spawn(reading, name="download-metainfo")
                case m.AskPlan():
                    self._tasks.spawn(self._guide.ask(effect), name="download-plan")
                case m.ProbeParent(stripe, pause_s):
                    probe = self._guide.probe(stripe, pause_s)
                    self._tasks.spawn(probe, name="download-probe")
                case m.WidenMesh(stripe):
                    self._means.metrics.fallbacks.labels("mesh").inc()
                    self._segments.dial(stripe, self._job.parents.planned(stripe)[:_MESH])
                case m.Finish() | m.GiveUp() | m.GoToOrigin():
                    return effect
        return None

    async def _next_event(self) -> m.Event | None:
        """Wait for the next fact; facts of the swarm are translated, and recorded first."""
        event = await self._events.get()
        match event:
            case TorrentFinished(info_hash):
                index = self._segments.finished(info_hash)
                if index is None:
                    return None
                await self._transfer.segment_written(index, self._job.torrents[index])
                return m.SegmentArrived(index)
            case TorrentProgressed(info_hash, done=done):
                index = self._segments.progressed(info_hash, done)
                return None if index is None else m.BytesArrived(index)
            case TorrentFailed():
                if event.disk_full:
                    raise NoSpace(f"the disk is full: {event.reason}")
                raise Unavailable(event.reason)
            case PeerLost(_, host, port):
                for stripe in self._job.parents.fed_by((host, port)):
                    self._events.put_nowait(m.ParentLost(stripe))
                return None
            case PieceRejected():
                self._reject(event.piece)
                return None
            case _:
                return event

    def _reject(self, piece: int) -> None:
        """Say so once for a blob: a peer that insists is seen in the metrics, and at the end."""
        self._means.metrics.wrong_pieces.inc()
        self._wrong_pieces += 1
        if self._wrong_pieces == 1:
            log.warning("%s: a peer sent a wrong piece %d", self._job.blob.digest, piece)

    async def _bring_parts(self) -> None:
        """Beside what the swarm brings."""
        await asyncio.wait([self._transfer.opened])
        while self._transfer.begun:
            try:
                await self._job.parts.bring(self._transfer)
            except EagleError as error:
                self._events.put_nowait(m.PartsFailed(error))
                return
            await self._transfer.arrival.changed()

    async def _watch_demand(self) -> None:
        await asyncio.wait([self._transfer.opened])
        before = m.Wanted(())
        while True:
            wanted = wanted_of(self._transfer)
            if wanted != before:
                self._events.put_nowait(wanted)
            before = wanted
            await self._transfer.arrival.changed()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            self._segments.turn_to_plan()
            line = self._job.line
            if line.look():
                known = len(line.seeders)
                self._events.put_nowait(m.SeedersChanged(known, line.own_turn, line.standing))
            parents = tuple(
                self._segments.parent_state(stripe) if quiet_s >= SUSPICIOUS_S else m.Parent.HOLDING
                for stripe, quiet_s in enumerate(self._machine.quiet_s(self._means.clock()))
            )
            self._events.put_nowait(m.Ticked(parents))

    def _release(self) -> None:
        if self._wrong_pieces > 1:
            log.warning("%s: peers sent %d wrong pieces", self._job.blob.digest, self._wrong_pieces)
        self._guide.release()
        self._segments.release()
        if self._transfer.begun:
            self._transfer.arrival.woke()
