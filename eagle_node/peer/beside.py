"""Blobs for which this node has no room: passed on from seeders that have, kept by these alone."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from eagle_node.base.errors import Unavailable
from eagle_node.base.ranges import ByteRange
from eagle_node.metainfo.messages import ReadRequest
from eagle_node.peer.discretion import Reader
from eagle_node.peer.means import Means
from eagle_node.registry.names import BlobRef
from eagle_node.runtime.context import request_id
from eagle_node.runtime.sockets import Address
from eagle_node.runtime.tracing import peer_attributes, span

log = logging.getLogger(__name__)

_PATIENCE = 3
"""Stalls that a seeder is granted: what it has not got comes from the origin first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """One blob, as the seeders give it to one client; none of it is verified."""

    means: Means
    blob: BlobRef
    reader: Reader
    seeders: Sequence[Address]
    size: int
    """Bytes of the blob."""

    async def chunks(self, run: ByteRange) -> AsyncGenerator[bytes, None]:
        """The bytes of ``run`` in order, from the next seeder where one breaks off.

        `Denied` is a seeder's for this client, `Unavailable` the last one's.
        """
        offset, failure = run.start, Unavailable("no seeder is known")
        for seeder in self.seeders:
            try:
                async with aclosing(self._read(seeder, ByteRange(offset, run.stop))) as chunks:
                    async for chunk in chunks:
                        offset += len(chunk)
                        yield chunk
                if offset == run.stop:
                    return
                raise Unavailable(f"seeder {seeder} ended early")
            except Unavailable as error:
                log.info("%s from seeder %s: %s", self.blob.digest, seeder, error)
                failure = error
        raise failure

    async def _read(self, seeder: Address, run: ByteRange) -> AsyncGenerator[bytes, None]:
        request = ReadRequest(
            registry=self.blob.repository.registry,
            repository=self.blob.repository.name,
            digest=self.blob.digest,
            authorization=self.means.discretion.shown(self.reader, seeder),
            node_id=self.means.node().node_id,
            request_id=request_id.get(),
            path=self.blob.served_at,
            start=run.start,
            stop=run.stop,
        )
        silence_s = _PATIENCE * self.means.config.stall_s
        with span("seeder read", "client", {**self.blob.attributes, **peer_attributes(seeder)}):
            replies = self.means.metainfo.read_from(seeder, request, silence_s=silence_s)
            async with aclosing(replies):
                async for chunk in replies:
                    await self.means.download.take(len(chunk))
                    self.means.metrics.peer_download_bytes.inc(len(chunk))
                    yield chunk
