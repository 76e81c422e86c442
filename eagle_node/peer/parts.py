"""Parts of segments, where so little is wanted that a torrent would move far more.

They come from nodes that hold the segment (`holders`), else from the seeders.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from eagle_node.base.errors import EagleError, NoSpace, Unavailable
from eagle_node.base.ids import NodeId
from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.parts import PartWriter
from eagle_node.metainfo.client import MetaInfoClient
from eagle_node.metainfo.messages import ReadRequest
from eagle_node.metrics.instruments import Metrics
from eagle_node.peer.holders import HolderSource
from eagle_node.registry.names import BlobRef
from eagle_node.runtime.budget import ByteBudget
from eagle_node.runtime.context import request_id
from eagle_node.runtime.sockets import Address
from eagle_node.runtime.tasks import first_error
from eagle_node.runtime.tracing import peer_attributes, span
from eagle_node.swarm.parts import PartFetches
from eagle_node.swarm.transfer import Transfer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSource:
    """What parts of one blob are asked with."""

    metainfo: MetaInfoClient
    seeders: Callable[[], Sequence[Address]]
    """In the order to ask them now."""
    blob: BlobRef
    shown: Callable[[Address], str]
    """The ``Authorization`` for a seeder; empty: none."""
    node_id: NodeId
    silence_s: float
    """Seconds without a byte after which the next seeder is asked."""
    download: ByteBudget
    metrics: Metrics
    holders: HolderSource

    async def bring(self, transfer: Transfer) -> None:
        """Bring the parts that are missing, until none is wanted; raises the last seeder's error.

        `Denied` and `NoSpace` are the first's: no other can do better.
        """
        fetches = PartFetches(self._bring)
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    fetches.dispatch(transfer, group)
                    if not fetches:
                        return
                    await transfer.arrival.changed()
        except* EagleError as errors:
            raise first_error(errors) from errors

    async def _bring(self, transfer: Transfer, run: ByteRange) -> None:
        failure = Unavailable("no seeder is known")
        with transfer.part(run) as writer:
            if await self.holders.bring(
                writer,
                transfer.arrival.layout.at(run.start),
                run,
                lambda seeder: self._request(seeder, run.start, run.stop),
            ):
                await transfer.part_written(run)
                return
            for seeder in self.seeders():
                try:
                    await self._read(seeder, writer, run)
                except NoSpace:
                    raise
                except Unavailable as error:
                    log.info("part of %s from seeder %s: %s", self.blob.digest, seeder, error)
                    failure = error
                    continue
                break
            else:
                raise failure
        await transfer.part_written(run)

    def _request(self, seeder: Address, start: int, stop: int) -> ReadRequest:
        return ReadRequest(
            registry=self.blob.repository.registry,
            repository=self.blob.repository.name,
            digest=self.blob.digest,
            authorization=self.shown(seeder),
            node_id=self.node_id,
            request_id=request_id.get(),
            path=self.blob.served_at,
            start=start,
            stop=stop,
        )

    async def _read(self, seeder: Address, writer: PartWriter, run: ByteRange) -> None:
        request = self._request(seeder, writer.offset, run.stop)
        about = {**self.blob.attributes, **peer_attributes(seeder)}
        chunks = self.metainfo.read_from(seeder, request, silence_s=self.silence_s)
        with span("seeder read", "client", about):
            if not await self._write(chunks, writer):
                raise Unavailable(f"seeder {seeder} ended early")

    async def _write(self, chunks: AsyncGenerator[bytes, None], writer: PartWriter) -> bool:
        """Until nothing more is wanted; False when the bytes end before."""
        async with aclosing(chunks):
            async for chunk in chunks:
                await self.download.take(len(chunk))
                self.metrics.peer_download_bytes.inc(len(chunk))
                await writer.write(chunk)
                if not writer.wanted:
                    return True
        return False
