"""Fills a transfer with bytes that come in order: from the blob store, or from the registry.

One connection (a *lane*) carries the blob; it is resumed by Range from the byte where it broke. A
reader that needs bytes which no lane will reach soon gets a lane of its own. Where readers want no
more than parts of segments, each part is a request of its own.
"""

from __future__ import annotations

import asyncio
import logging

from eagle_node.base.errors import EagleError, NoSpace, Unavailable
from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.segments import Segment
from eagle_node.config.tree import SeederConfig
from eagle_node.registry.answer import NoRanges
from eagle_node.runtime.tasks import first_error
from eagle_node.seeder.parts import bring_part
from eagle_node.seeder.source import ByteSource, ByteStream, pause
from eagle_node.seeder.writer import SegmentWriter
from eagle_node.swarm.parts import PartFetches
from eagle_node.swarm.transfer import Transfer

log = logging.getLogger(__name__)

_RETRIES_UNBEGUN = 1
"""A source that has not sent a byte yet is not worth waiting for: there may be others."""
_PROBE = 1
"""Bytes that are asked for to learn the size, when not all of the blob has to come."""
_MOST_LANES = 4
_SOON = 8 << 20
"""Bytes ahead of a lane that it is trusted to bring in time ..."""
_SOON_SEGMENTS = 2
"""... and segments, however large."""


class InOrderFill:
    """Fills transfers from one `ByteSource`; callable as a transfer's source."""

    def __init__(self, source: ByteSource, config: SeederConfig) -> None:
        self._source = source
        self._config = config
        self._lanes: set[_Lane] = set()
        self._parts = PartFetches(self._part)
        self.ranges = True
        """Whether the source sends parts; else lanes read from the start up to what they need."""

    async def __call__(self, transfer: Transfer) -> None:
        """Bring what is missing and wanted; raises the first error."""
        try:
            async with asyncio.TaskGroup() as group:
                self._start_lane(transfer, group, 0)
                if not transfer.begun:
                    await asyncio.wait([transfer.opened])
                while transfer.begun:
                    self._dispatch(transfer, group)
                    if not self._lanes and not self._parts:
                        return
                    await transfer.arrival.changed()
        except* EagleError as errors:
            raise first_error(errors) from errors

    def claimed(self, index: int) -> bool:
        """Whether a lane is writing segment ``index``."""
        return any(lane.index == index for lane in self._lanes)

    def next_for(self, transfer: Transfer, lane: _Lane) -> int | None:
        """Where a lane that has ended its run goes on; None when the others suffice."""
        others = self._lanes - {lane}
        if others:
            return self._out_of_reach(transfer, others)
        return next(iter(transfer.arrival.missing()), None)

    def _dispatch(self, transfer: Transfer, group: asyncio.TaskGroup) -> None:
        """Start what readers need next and nobody brings."""
        arrival = transfer.arrival
        arrival.takes_parts = arrival.takes_parts and self.ranges
        self._parts.dispatch(transfer, group)
        urgent = self._out_of_reach(transfer, self._lanes)
        most = _MOST_LANES if self.ranges else 1
        if urgent is not None and len(self._lanes) < most:
            self._start_lane(transfer, group, urgent)

    async def _part(self, transfer: Transfer, run: ByteRange) -> None:
        try:
            await bring_part(transfer, run, self._source, self._config.origin_retries)
        except NoRanges as error:
            log.info("%s", error)
            self.ranges = False

    def _out_of_reach(self, transfer: Transfer, lanes: set[_Lane]) -> int | None:
        """A segment that a reader needs next and that none of ``lanes`` will bring soon."""
        layout = transfer.arrival.layout
        for index in transfer.arrival.urgent():
            if not any(lane.reaches(layout.segments[index]) for lane in lanes):
                return index
        return None

    def _start_lane(self, transfer: Transfer, group: asyncio.TaskGroup, first: int) -> None:
        lane = _Lane(self, transfer, first)
        self._lanes.add(lane)
        group.create_task(self._run(transfer, lane), name="lane")

    async def _run(self, transfer: Transfer, lane: _Lane) -> None:
        try:
            await lane.run(self._source, self._config.origin_retries)
        finally:
            self._lanes.discard(lane)
            if transfer.begun:
                transfer.arrival.woke()


async def bring_next(transfer: Transfer, source: ByteSource, retries: int) -> None:
    """Fetch the first segment that is missing, by a request that is resumed where it breaks off.

    Raises what opening the source raises, and `Unavailable` after ``retries`` fruitless breaks.
    """
    index = next(iter(transfer.arrival.missing()), None)
    if index is None:
        return
    stop, failures = transfer.arrival.layout.segments[index].stop, 0
    async with SegmentWriter(transfer) as writer:
        writer.open(index)
        while (start := writer.position) is not None:
            try:
                async with source.open(start, stop) as stream:
                    async for chunk in stream.chunks():
                        await writer.write(chunk)
                if writer.position is not None:
                    raise Unavailable(f"the source of {transfer.digest} ended early")
            except (NoSpace, NoRanges):
                raise
            except Unavailable as error:
                failures = 1 if writer.position != start else failures + 1
                if failures > retries:
                    raise
                log.info("resuming %s at %s: %s", transfer.digest, writer.position, error)
                await pause(failures)


class _Lane:
    """One connection at a time, writing runs of missing segments."""

    def __init__(self, fill: InOrderFill, transfer: Transfer, first: int) -> None:
        self._fill = fill
        self._transfer = transfer
        self._received = 0
        self.index: int | None = first
        """Segment being written, or about to be."""
        self.offset = 0
        """Next byte of the blob that this lane will write."""

    def reaches(self, segment: Segment) -> bool:
        """Whether this lane writes ``segment``, or will soon."""
        if self.index is None:
            return False
        ahead = segment.start - self.offset
        return 0 <= segment.index - self.index <= _SOON_SEGMENTS or 0 <= ahead <= _SOON

    async def run(self, source: ByteSource, retries: int) -> None:
        """Until nothing is left for this lane; `Unavailable` after ``retries`` fruitless breaks."""
        failures = 0
        async with SegmentWriter(self._transfer) as writer:
            while True:
                before = self._received
                try:
                    if not await self._connection(source, writer):
                        return
                    failures = 0
                except NoSpace:
                    raise
                except NoRanges as error:
                    log.info("%s", error)
                    self._fill.ranges = False
                except Unavailable as error:
                    failures = 1 if self._received > before else failures + 1
                    if failures > (retries if self._transfer.begun else _RETRIES_UNBEGUN):
                        raise
                    log.info("resuming %s at %s: %s", self._transfer.digest, self.offset, error)
                    await pause(failures)

    async def _connection(self, source: ByteSource, writer: SegmentWriter) -> bool:
        """One connection for one run of segments; False when there is nothing to bring."""
        transfer = self._transfer
        stop = None
        if transfer.begun:
            if writer.position is None and not self._choose():
                return False
            stop = self._stop_of_run()
        elif transfer.piecemeal:
            stop = _PROBE
        start = self.offset
        if not self._fill.ranges:
            start, stop = 0, None
        async with source.open(start, stop) as stream:
            if not transfer.begun:
                await transfer.begin(stream.size)
                if stop is not None or not self._may_write(0):
                    return stream.size > 0
            await self._copy(writer, stream, skip=self.offset - start)
        return True

    async def _copy(self, writer: SegmentWriter, stream: ByteStream, *, skip: int) -> None:
        """Write the stream's bytes, but for the first ``skip``, to where this lane has come."""
        layout, before = self._transfer.arrival.layout, self._received
        async for chunk in stream.chunks():
            data = chunk[skip:]
            skip -= len(chunk) - len(data)
            self._received += len(data)
            self._transfer.arrival.received += len(data)
            while data:
                if writer.position is None:
                    index = layout.at(self.offset).index
                    if not self._may_write(index):
                        self.index = None
                        return
                    self.index = index
                    writer.open(index)
                left = await writer.write(data)
                self.offset += len(data) - len(left)
                data = left
        if writer.position is not None or self._received == before:
            raise Unavailable(f"the source of {self._transfer.digest} ended early")

    def _may_write(self, index: int) -> bool:
        if index != self.index and self._fill.claimed(index):
            return False
        return index in self._transfer.arrival.missing()

    def _choose(self) -> bool:
        """Move to where bytes are missing that no other lane brings."""
        if self.index not in self._transfer.arrival.missing():
            self.index = None
            self.index = self._fill.next_for(self._transfer, self)
        if self.index is None:
            return False
        self.offset = self._transfer.arrival.layout.segments[self.index].start
        return True

    def _stop_of_run(self) -> int | None:
        """Where to end the request; None when that is the end of the blob, asked for from 0."""
        layout = self._transfer.arrival.layout
        wanted = set(self._transfer.arrival.missing())
        last = layout.at(self.offset).index
        while last + 1 in wanted and not self._fill.claimed(last + 1):
            last += 1
        stop = layout.segments[last].stop
        return None if (self.offset, stop) == (0, layout.size) else stop
