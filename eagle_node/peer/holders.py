"""Parts of segments from any node that holds the segment, instead of from its seeder.

A seeder that has the segment tells what its blocks hash to, 32 bytes for 16 KiB, having checked the
reader's right; the bytes come from the nearest node that the tracker knows to have it. Each block
is compared with its hash before anybody reads it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from eagle_node.base.errors import NoSpace, Unavailable
from eagle_node.base.ids import NodeId
from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.demand import BLOCK
from eagle_node.blobs.parts import PartWriter
from eagle_node.blobs.segments import Segment
from eagle_node.metainfo.client import MetaInfoClient
from eagle_node.metainfo.hash_messages import HashesReply
from eagle_node.metainfo.messages import ReadRequest
from eagle_node.metrics.instruments import Metrics
from eagle_node.registry.names import BlobRef
from eagle_node.runtime.budget import ByteBudget
from eagle_node.runtime.clock import Clock
from eagle_node.runtime.sockets import Address
from eagle_node.runtime.tracing import peer_attributes, span
from eagle_node.swarm.blocks import BlockClient
from eagle_node.tracker.bitmap import contains
from eagle_node.tracker.client import TrackerClient
from eagle_node.tracker.schema import Holder, NodeInfo, PeerAddress

log = logging.getLogger(__name__)

_FRESH_S = 5.0
"""How long the tracker's answer counts, and that no seeder knows the hashes of a segment."""
_SHUNNED_S = 30.0
"""How long a holder that failed is left aside."""
_MOST_TRIED = 3
"""Holders that are tried for a part: then it is better asked for where it is known to be had."""
_MOST_SEEDERS = 2
"""Seeders that are asked for hashes: the owner, and who owned the blob before it."""


@dataclass(slots=True)
class Acquaintance:
    """What a node has learnt about others; shared by all of its downloads."""

    seeders: dict[Address, NodeId] = field(default_factory=dict)
    """Who answers at a metainfo address."""
    shunned: dict[PeerAddress, float] = field(default_factory=dict)
    """Holders that failed, and until when they are left aside."""

    def shun(self, holder: PeerAddress, now: float) -> None:
        """A holder has failed."""
        self.shunned = {each: until for each, until in self.shunned.items() if until > now}
        self.shunned[holder] = now + _SHUNNED_S

    def is_shunned(self, holder: PeerAddress, now: float) -> bool:
        """Whether a holder has failed lately."""
        return self.shunned.get(holder, 0.0) > now


@dataclass(slots=True, kw_only=True)
class HolderSource:
    """Where parts of one blob come from beside its seeders."""

    metainfo: MetaInfoClient
    tracker: TrackerClient
    blocks: BlockClient
    acquaintance: Acquaintance
    seeders: Callable[[], Sequence[Address]]
    """In the order to ask them now."""
    blob: BlobRef
    node: Callable[[], NodeInfo]
    silence_s: float
    """Seconds without a block after which the next holder is asked."""
    download: ByteBudget
    metrics: Metrics
    clock: Clock
    _holders: Sequence[Holder] = ()
    _asked_at: float = float("-inf")
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _hashless: dict[int, float] = field(default_factory=dict)
    """Segments whose hashes no seeder knows, and until when none is asked."""

    async def bring(
        self,
        writer: PartWriter,
        segment: Segment,
        run: ByteRange,
        ask: Callable[[Address], ReadRequest],
    ) -> bool:
        """Write ``run`` of ``segment``, or as much of it as is wanted; whether that was done.

        Raises `Denied` when the reader may not have it, and `NoSpace`.
        """
        holders = await self._holding(segment)
        if not holders or self._hashless.get(segment.index, 0.0) > self.clock():
            return False
        reply = await self._hashes(ask)
        if reply is None:
            self._hashless[segment.index] = self.clock() + _FRESH_S
            return False
        for holder in [each for each in holders if each.node_id != reply.node_id][:_MOST_TRIED]:
            if await self._from(holder, reply, writer, segment, run):
                return True
        return False

    async def _holding(self, segment: Segment) -> list[PeerAddress]:
        """Who has ``segment``, but for this node, and for the owner: it is asked for parts."""
        async with self._asking:
            if self.clock() - self._asked_at >= _FRESH_S:
                try:
                    self._holders = await self.tracker.holders(self.blob.digest, self.node())
                except Unavailable as error:
                    log.debug("holders of %s are not known: %s", self.blob.digest, error)
                self._asked_at = self.clock()
            now = self.clock()
        own = self.node().node_id
        owner = next(map(self.acquaintance.seeders.get, self.seeders()), None)
        return [
            each.peer
            for each in self._holders
            if (each.have is None or contains(each.have, segment.index))
            and each.peer.node_id not in (own, owner)
            and not self.acquaintance.is_shunned(each.peer, now)
        ]

    async def _hashes(self, ask: Callable[[Address], ReadRequest]) -> HashesReply | None:
        """What the seeders that have the bytes say that they hash to."""
        for seeder in self.seeders()[:_MOST_SEEDERS]:
            try:
                with span("seeder hashes", "client", peer_attributes(seeder)):
                    reply = await self.metainfo.hashes_from(seeder, ask(seeder))
            except Unavailable as error:
                log.debug("no hashes of %s: %s", self.blob.digest, error)
                continue
            self.acquaintance.seeders[seeder] = reply.node_id
            return reply
        return None

    async def _from(
        self,
        holder: PeerAddress,
        reply: HashesReply,
        writer: PartWriter,
        segment: Segment,
        run: ByteRange,
    ) -> bool:
        """Write what one holder sends, block by block, each once it is verified."""
        address = Address(holder.host, holder.port)
        # Hashes begin with the block of the run's first byte, whatever has come since.
        first = (run.start - segment.start) // BLOCK
        wanted = ByteRange(writer.offset - segment.start, run.stop - segment.start)
        begin = wanted.start // BLOCK * BLOCK
        came = self.blocks.blocks(
            address, reply.info_hash, segment, wanted, silence_s=self.silence_s
        )
        try:
            with span("holder blocks", "client", peer_attributes(address)):
                async with aclosing(came):
                    async for data in came:
                        self._verify(data, reply.hashes[begin // BLOCK - first])
                        await self.download.take(len(data))
                        self.metrics.peer_download_bytes.inc(len(data))
                        await writer.write(data[writer.offset - segment.start - begin :])
                        begin += BLOCK
                        if not writer.wanted:
                            return True
        except NoSpace:
            raise
        except (Unavailable, IndexError) as error:
            log.info("part of %s: %s", self.blob.digest, error)
            self.acquaintance.shun(holder, self.clock())
            return False
        return writer.offset >= run.stop

    def _verify(self, data: bytes, expected: bytes) -> None:
        if hashlib.sha256(data).digest() != expected:
            log.warning("%s: a node sent a wrong block", self.blob.digest)
            raise Unavailable("a block is not what the seeder says that it is")
