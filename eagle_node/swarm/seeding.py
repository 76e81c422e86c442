"""What this node offers to peers: torrents of the blobs that the cache holds, or that are lent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from eagle_node.base.digest import Digest
from eagle_node.base.errors import EagleError, Unavailable, WrongContent
from eagle_node.base.ids import InfoHash
from eagle_node.blobs.cache import Cache
from eagle_node.blobs.files import BlobDirectory
from eagle_node.blobs.segments import layout_of
from eagle_node.swarm.lender import Lender
from eagle_node.swarm.session import Swarm
from eagle_node.swarm.torrents import (
    SegmentTorrent,
    make_torrent,
    make_whole_torrent,
    parse_torrent,
    unpack_torrents,
    with_layer,
)
from eagle_node.swarm.transfer import INLINE_LIMIT

log = logging.getLogger(__name__)


class Seeding:
    """Torrents of whole blobs, ``most_torrents`` with those of transfers: the latest used stay."""

    def __init__(self, cache: Cache, swarm: Swarm, *, most_torrents: int) -> None:
        self._cache = cache
        self._swarm = swarm
        self._most_torrents = most_torrents
        self._seeded: dict[Digest, list[SegmentTorrent]] = {}
        self._whole: dict[Digest, InfoHash] = {}
        """Torrents of whole blobs, for other BitTorrent clients."""
        self.lender: Lender | None = None
        """Offers the blobs that lie in files of others."""
        cache.on_drop.append(self._withdraw)

    def seeded(self) -> dict[Digest, list[SegmentTorrent]]:
        """Committed blobs that are offered to peers, with their torrents."""
        return dict(self._seeded)

    def lent(self) -> dict[Digest, Sequence[SegmentTorrent]]:
        """Blobs that are offered to peers at the lender's port only, with their torrents."""
        offered = self.lender.offered() if self.lender is not None else {}
        return {
            digest: torrents for digest, torrents in offered.items() if digest not in self._seeded
        }

    def is_drawn_from(self, digest: Digest) -> bool:
        """Whether peers want something of a blob now."""
        hashes = [torrent.info_hash for torrent in self._seeded.get(digest, ())]
        if digest in self._whole:
            hashes.append(self._whole[digest])
        return self._swarm.connections.draw_from(hashes)

    async def torrents_of(self, digest: Digest) -> Sequence[SegmentTorrent]:
        """The torrents of a whole blob, offered from now on; made again when they were lost."""
        if self.lender is not None and not self._cache.is_resident(digest):
            return await self.lender.torrents_of(digest)
        if digest not in self._seeded:
            resident = self._cache.blobs().get(digest)
            if resident is None:
                raise Unavailable(f"{digest} is not in the cache")
            torrents = await asyncio.to_thread(self._load, digest, resident.size)
            if not self._cache.is_resident(digest):
                return await self.torrents_of(digest)
            self._offer(digest, torrents)
        return self._seeded[digest]

    async def whole_torrent(self, digest: Digest, trackers: Sequence[str]) -> bytes:
        """Metainfo of a whole committed blob, for other BitTorrent clients; seeded from now on."""
        directory = self._cache.directory(digest)
        resident = self._cache.blobs().get(digest)
        if resident is None:
            raise Unavailable(f"{digest} is not in the cache")
        layout = layout_of(resident.size)
        info_hash, metainfo = await asyncio.to_thread(
            make_whole_torrent,
            directory,
            layout,
            trackers,
            root_certificate=self._swarm.root_certificate,
        )
        if not self._cache.is_resident(digest):
            raise Unavailable(f"{digest} was evicted meanwhile")
        self._swarm.seed_whole(info_hash, metainfo, directory.path.parent)
        self._whole[digest] = info_hash
        return metainfo

    async def seed_cache(self) -> None:
        """Offer what the cache holds, most recently used first, up to the torrent limit."""
        for digest, resident in reversed(self._cache.blobs().items()):
            if len(self._swarm) + len(layout_of(resident.size).segments) > self._most_torrents:
                log.info("seeding %d torrents; older blobs wait for use", len(self._swarm))
                return
            try:
                await self.torrents_of(digest)
            except EagleError as error:
                log.warning("cannot seed %s: %s", digest, error)

    async def complete(self, torrent: SegmentTorrent, directory: BlobDirectory) -> SegmentTorrent:
        """The torrent of a segment whose file is whole, with the hashes of its pieces."""
        if torrent.has_layer:
            return torrent
        try:
            leaves = await self._swarm.leaves(torrent.info_hash)
            return await asyncio.to_thread(with_layer, torrent, leaves)
        except WrongContent as error:
            log.info("%s is hashed again: %s", torrent.name, error)
        root = self._swarm.root_certificate
        return await asyncio.to_thread(
            make_torrent, directory, torrent.segment, root_certificate=root
        )

    def keep(self, digest: Digest, torrents: list[SegmentTorrent]) -> None:
        """A transfer has been committed: its torrents are in the swarm already."""
        self._seeded[digest] = torrents
        self._trim(digest)

    def _load(self, digest: Digest, size: int) -> list[SegmentTorrent]:
        directory = self._cache.directory(digest)
        if size <= INLINE_LIMIT:
            return []
        segments = layout_of(size).segments
        root = self._swarm.root_certificate
        try:
            kept = unpack_torrents(directory.torrents.read_bytes())
        except OSError:
            kept = []
        if len(kept) == len(segments):
            try:
                return [
                    parse_torrent(metainfo, digest, segment, root_certificate=root)
                    for metainfo, segment in zip(kept, segments, strict=True)
                ]
            except WrongContent:
                log.info("metainfo of %s is of another cluster or version; made again", digest)
        return [make_torrent(directory, segment, root_certificate=root) for segment in segments]

    def _offer(self, digest: Digest, torrents: list[SegmentTorrent]) -> None:
        for torrent in torrents:
            self._swarm.seed(torrent, self._cache.directory(digest).path)
        self.keep(digest, torrents)

    def _trim(self, newest: Digest) -> None:
        """Hold the limit of torrents: blobs that were not used for long are no longer offered."""
        if len(self._swarm) <= self._most_torrents:
            return
        for digest in self._cache.blobs():
            if len(self._swarm) <= self._most_torrents:
                return
            if digest != newest:
                for torrent in self._seeded.pop(digest, []):
                    self._swarm.remove(torrent.info_hash)

    def _withdraw(self, digest: Digest) -> None:
        """The cache is about to delete a blob's files."""
        for torrent in self._seeded.pop(digest, ()):
            self._swarm.remove(torrent.info_hash)
        if (whole := self._whole.pop(digest, None)) is not None:
            self._swarm.remove(whole)
