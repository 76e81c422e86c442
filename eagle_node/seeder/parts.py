"""Brings parts of segments from a source, each by a request of its own."""

from __future__ import annotations

import logging

from eagle_node.base.errors import NoSpace, Unavailable
from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.parts import PartWriter
from eagle_node.registry.answer import NoRanges
from eagle_node.seeder.source import ByteSource, pause
from eagle_node.swarm.transfer import Transfer

log = logging.getLogger(__name__)


async def bring_part(transfer: Transfer, run: ByteRange, source: ByteSource, retries: int) -> None:
    """Fetch ``run``, for as long as a reader waits for its next byte.

    A broken connection is resumed; `Unavailable` after ``retries`` fruitless breaks, `NoRanges`
    from a source that sends only the whole.
    """
    failures = 0
    with transfer.part(run) as writer:
        while writer.wanted:
            before = writer.offset
            try:
                await _copy(transfer, writer, run, source)
            except (NoSpace, NoRanges):
                raise
            except Unavailable as error:
                failures = 1 if writer.offset > before else failures + 1
                if failures > retries:
                    raise
                log.info("resuming %s at %s: %s", transfer.digest, writer.offset, error)
                await pause(failures)
    await transfer.part_written(run)


async def _copy(transfer: Transfer, writer: PartWriter, run: ByteRange, source: ByteSource) -> None:
    before = writer.offset
    async with source.open(before, run.stop) as stream:
        if stream.size != transfer.arrival.layout.size:
            raise Unavailable(f"the source of {transfer.digest} has another size: {stream.size}")
        async for chunk in stream.chunks():
            await writer.write(chunk)
            if not writer.wanted:
                return
    raise Unavailable(f"the source of {transfer.digest} ended early")
