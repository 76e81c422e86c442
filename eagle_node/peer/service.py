"""The peer as the proxy sees it: open a blob, from wherever it can be had."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import takewhile

from eagle_node.base.errors import Denied, Unavailable
from eagle_node.base.rendezvous import ranked
from eagle_node.blobs.cache import Cache
from eagle_node.blobs.reader import BlobReader
from eagle_node.peer.beside import Beside
from eagle_node.peer.fill import SwarmFill
from eagle_node.peer.means import Means
from eagle_node.peer.succession import Line, Succession
from eagle_node.registry.access import Access
from eagle_node.registry.names import BlobRef
from eagle_node.runtime.sockets import Address
from eagle_node.swarm.transfer import Source, Transfer
from eagle_node.swarm.transfers import Transfers

_MOST_BESIDE = 2
"""Seeders that are asked for what finds no room here: each fetches it if it has not got it."""

OriginSources = Callable[[BlobRef, str | None], Source]
"""Makes the source that fetches a blob from the blob store or the registry, as this client."""


class Peer:
    """Opens blobs for clients whom the origin would serve."""

    def __init__(
        self,
        *,
        cache: Cache,
        transfers: Transfers,
        access: Access,
        means: Means | None,
        origin: OriginSources,
        seeders: Callable[[], Sequence[Address]],
        is_self: Callable[[Address], bool],
        elected: bool = False,
    ) -> None:
        """``elected``: ``seeders`` change when one dies."""
        self._cache = cache
        self._transfers = transfers
        self._access = access
        self._means = means
        self._origin = origin
        self._seeders = seeders
        self._is_self = is_self
        self._elected = elected

    async def open(self, blob: BlobRef, authorization: str | None, *, whole: bool) -> BlobReader:
        """A pinned reader of ``blob``; raises `Denied` or `Unavailable` before the first byte.

        The origin is asked whether this client may read a blob that is here or on its way already;
        a fetch in the client's name proves it otherwise. ``whole``: bring all of it, not only the
        ranges that are read.
        """
        digest = blob.digest
        authorization = await self._access.reader(blob, authorization)
        await self._transfers.ready(digest)
        known = digest in self._cache or self._transfers.get(digest) is not None
        if known:
            await self._access.check(blob, authorization)
            if digest in self._cache and (reader := self._cache.open(digest)) is not None:
                return reader
        transfer = await self._transfers.start(
            digest,
            self._source(blob, authorization),
            whole=whole,
            claim=(blob, authorization),
        )
        if transfer is None:
            return await self.open(blob, authorization, whole=whole)
        if not known:
            self._access.prove(
                blob, authorization, transfer.opened, transfer.ask, lambda: transfer.word_age_s
            )
        try:
            await self._opened(transfer)
        except Denied:
            if not known:
                raise
            # The refusal was meant for the client in whose name the transfer had begun.
            return await self.open(blob, authorization, whole=whole)
        reader = self._cache.open(digest)
        if reader is None:
            raise transfer.arrival.error or Unavailable(f"{digest} was lost while it was opened")
        return reader

    async def _opened(self, transfer: Transfer) -> None:
        """Wait until there is something to promise a client."""
        arrival = await transfer.wait_opened()
        if arrival.layout.size == 0:
            # No byte of it can be held back until it is verified.
            await transfer.wait_finished()

    async def beside(self, blob: BlobRef, authorization: str | None) -> Beside | None:
        """A way past the cache, from other nodes' seeders; None when there is none."""
        authorization = await self._access.reader(blob, authorization)
        grant = await self._access.check(blob, authorization)
        if self._means is None or not grant.size:
            return None
        discretion = self._means.discretion
        reader = await discretion.reader(blob.repository.registry, authorization)
        others = [
            each
            for each in self._order(blob)
            if not self._is_self(each) and not discretion.withholds(reader, each)
        ]
        if not others:
            return None
        return Beside(
            means=self._means,
            blob=blob,
            reader=reader,
            seeders=others[:_MOST_BESIDE],
            size=grant.size,
        )

    async def size(self, blob: BlobRef, authorization: str | None) -> int | None:
        """The blob's size for a client whom the origin would serve, without moving it."""
        grant = await self._access.check(blob, authorization)
        if grant.size is not None:
            return grant.size
        reader = self._cache.open(blob.digest)
        if reader is None:
            return None
        reader.close()
        return reader.size

    def order(self, name: str) -> list[Address]:
        """The seeders in the order in which they own a digest, or a file's name."""
        seeders = {str(seeder): seeder for seeder in self._seeders()}
        return [seeders[each] for each in ranked(name, seeders)]

    def _order(self, blob: BlobRef) -> list[Address]:
        return self.order(blob.owned_as or blob.digest)

    def _source(self, blob: BlobRef, authorization: str | None) -> Source:
        """The swarm through the seeders that own the digest; up to this node's own turn."""
        origin = self._origin(blob, authorization)
        line = Line(partial(self._succession, blob), elected=self._elected)
        if self._means is None or not line.seeders:
            return origin
        return SwarmFill(self._means, blob, authorization, line, origin)

    def _succession(self, blob: BlobRef) -> Succession:
        seeders = self._order(blob)
        before = tuple(takewhile(lambda seeder: not self._is_self(seeder), seeders))
        return Succession(before=before, own_turn=len(before) < len(seeders))
