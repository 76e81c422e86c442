"""What the swarm asks of a part that offers whole blobs out of files of somebody else's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from eagle_node.base.digest import Digest
from eagle_node.swarm.torrents import SegmentTorrent


class Lender(Protocol):
    """Offers lent blobs to peers at a listener of its own: libtorrent reads its own files only."""

    @property
    def port(self) -> int:
        """TCP port of the listener."""

    def offered(self) -> Mapping[Digest, Sequence[SegmentTorrent]]:
        """Blobs that peers may take, with their torrents."""

    async def torrents_of(self, digest: Digest) -> Sequence[SegmentTorrent]:
        """Those of a blob that is lent to the cache, offered from now on; `Unavailable`."""

    async def ready(self, digest: Digest) -> None:
        """Lend a blob that is there but was not verified yet; return soon in any case."""
