"""What a seeder tells of a blob: its layout, then each segment's metainfo as it becomes ready."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from eagle_node.base.errors import EagleError, NoSpace, Unavailable, Unreachable, WrongContent
from eagle_node.blobs.segments import LAYOUT_VERSION
from eagle_node.metainfo.messages import (
    BeatEvent,
    FetchReply,
    FetchRequest,
    InlineEvent,
    LayoutEvent,
    SegmentEvent,
)
from eagle_node.peer import events as m
from eagle_node.peer.means import Job
from eagle_node.runtime.context import request_id
from eagle_node.runtime.sockets import Address
from eagle_node.runtime.tasks import TaskSet
from eagle_node.runtime.threads import finish_in_thread
from eagle_node.runtime.tracing import peer_attributes, span
from eagle_node.swarm.torrents import rooted_torrent
from eagle_node.swarm.transfer import Transfer

log = logging.getLogger(__name__)

_FIRST_SEGMENTS = 16
"""Urgent segments to name to a seeder."""


class MetainfoStream:
    """Reads one seeder after the other into events."""

    def __init__(
        self,
        job: Job,
        transfer: Transfer,
        report: Callable[[m.Event], None],
        *,
        on_seeder: Callable[[Address, int], None],
    ) -> None:
        """``on_seeder`` gets the address of a seeder that answers, and its swarm's port."""
        self._job = job
        self._transfer = transfer
        self._report = report
        self._on_seeder = on_seeder

    async def read(self, attempt: int) -> None:
        """Read what the seeder tells; its end or error is the last event."""
        seeder = self._job.line.seeders[attempt]
        error: EagleError | None = None
        try:
            await self._read(seeder)
        except EagleError as failure:
            log.info("seeder %s: %s", seeder, failure)
            error = failure
        self._report(m.StreamEnded(error, gone=isinstance(error, Unreachable)))

    async def _read(self, seeder: Address) -> None:
        """Have the seeder tell of what is wanted, and again of more when more is wanted."""
        transfer = self._transfer
        while True:
            whole = transfer.arrival.whole_wanted if transfer.begun else not transfer.piecemeal
            wanted = tuple(transfer.arrival.missing()) if transfer.begun else ()
            async with TaskSet() as tasks:
                call = failure_of(self._call(seeder, wanted, whole=whole))
                reading = tasks.spawn(call, name="metainfo-call")
                if not whole:
                    more = tasks.spawn(self._more_than(wanted), name="metainfo-demand")
                    await asyncio.wait([reading, more], return_when=asyncio.FIRST_COMPLETED)
                    if not reading.done():
                        continue
                if (error := await reading) is not None:
                    raise error
                if whole:
                    return
                await more

    async def _more_than(self, wanted: Sequence[int]) -> None:
        """Wait until the whole is wanted, or a segment that is not among ``wanted``."""
        await asyncio.wait([self._transfer.opened])
        arrival = self._transfer.arrival
        asked = set(wanted)
        while not arrival.whole_wanted and asked.issuperset(arrival.missing()):
            await arrival.changed()

    async def _call(self, seeder: Address, wanted: Sequence[int], *, whole: bool) -> None:
        job = self._job
        request = FetchRequest(
            registry=job.blob.repository.registry,
            repository=job.blob.repository.name,
            digest=job.blob.digest,
            authorization=job.shown(seeder),
            node_id=job.means.node().node_id,
            layout_version=LAYOUT_VERSION,
            request_id=request_id.get(),
            first=tuple(wanted[:_FIRST_SEGMENTS] if whole else wanted),
            only_first=not whole,
            path=job.blob.served_at,
        )
        about = {**job.blob.attributes, **peer_attributes(seeder)}
        with span("seeder stream", "client", about):
            async for reply in job.means.metainfo.fetch_from(seeder, request):
                await self._hear(reply, seeder)

    async def _hear(self, reply: FetchReply, seeder: Address) -> None:
        match reply:
            case LayoutEvent(size=size, version=version, swarm_port=port, age_ms=age_ms):
                if version != LAYOUT_VERSION:
                    raise Unavailable(f"seeder {seeder} speaks layout version {version}")
                self._transfer.rests_on(age_ms / 1000)
                await self._begin(size, swarmed=True)
                self._on_seeder(seeder, port)
            case SegmentEvent(index=index, root=root):
                self._learn(index, root)
            case InlineEvent(data=data, age_ms=age_ms):
                self._transfer.rests_on(age_ms / 1000)
                await self._begin(len(data), swarmed=False)
                await self._write_inline(data)
            case BeatEvent(received=received, waiting=waiting):
                self._report(m.SeederBeat(received, waiting))

    async def _begin(self, size: int, *, swarmed: bool) -> None:
        arrival = await self._transfer.begin(size)
        arrival.source = "swarm"
        have = frozenset(arrival.have)
        self._report(m.LayoutArrived(len(arrival.layout.segments), have, swarmed))
        self._report(wanted_of(self._transfer))

    def _learn(self, index: int, root: bytes) -> None:
        segments = self._transfer.arrival.layout.segments
        if index >= len(segments):
            raise Unavailable(f"a seeder named segment {index} of {len(segments)}")
        if index not in self._job.torrents:
            try:
                self._job.torrents[index] = rooted_torrent(
                    root,
                    self._job.blob.digest,
                    segments[index],
                    root_certificate=self._job.means.swarm.root_certificate,
                )
            except WrongContent as error:
                raise Unavailable(f"a seeder sent broken metainfo: {error}") from error
        self._transfer.learnt[index] = self._job.torrents[index]
        self._transfer.publish()
        self._report(m.MetainfoArrived(index))

    async def _write_inline(self, data: bytes) -> None:
        arrival = self._transfer.arrival
        for segment in arrival.layout.segments:
            if segment.index in arrival.have:
                continue
            self._transfer.reserve(segment.index)
            path = arrival.directory.segment(segment.index)
            part = data[segment.start : segment.stop]
            try:
                await finish_in_thread(path.write_bytes, part)
            except OSError as error:
                raise NoSpace(f"cannot write {path}: {error.strerror}") from error
            self._job.means.metrics.peer_download_bytes.inc(len(part))
            await self._transfer.segment_written(segment.index)
            self._report(m.SegmentArrived(segment.index))


def wanted_of(transfer: Transfer) -> m.Wanted:
    """What readers want that is not here."""
    arrival = transfer.arrival
    return m.Wanted(tuple(arrival.missing()), parts=bool(arrival.missing_parts()))


async def failure_of(call: Awaitable[None]) -> EagleError | None:
    """The error of ``call``, if it ends with one of ours."""
    try:
        await call
    except EagleError as error:
        return error
    return None
