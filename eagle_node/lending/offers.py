"""The torrents of lent blobs that peers may take, within the limit of torrents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from eagle_node.base.digest import Digest
from eagle_node.base.ids import InfoHash
from eagle_node.blobs.lent import LentFile
from eagle_node.blobs.segments import layout_of
from eagle_node.lending.obfuscation import disguised
from eagle_node.swarm.torrents import SegmentTorrent


class Offers:
    """What is offered, by blob and by info-hash; blobs that were not used for long make room."""

    def __init__(self, most_torrents: int) -> None:
        self._most = most_torrents
        self._blobs: dict[Digest, tuple[LentFile, Sequence[SegmentTorrent]]] = {}
        """Those that were used last come last."""
        self._segments: dict[InfoHash, tuple[LentFile, SegmentTorrent]] = {}
        self._disguised: dict[bytes, InfoHash] = {}
        self.on_withdraw: list[Callable[[Digest], None]] = []
        """Called when a blob is not offered any more."""

    def __contains__(self, digest: Digest) -> bool:
        return digest in self._blobs

    def has_room(self, size: int) -> bool:
        """Whether a blob of ``size`` bytes fits without taking another's place."""
        return len(self._segments) + len(layout_of(size).segments) <= self._most

    def torrents(self) -> Mapping[Digest, Sequence[SegmentTorrent]]:
        """All that is offered."""
        return {digest: torrents for digest, (_, torrents) in self._blobs.items()}

    def use(self, digest: Digest) -> Sequence[SegmentTorrent]:
        """The torrents of a blob that is offered; it keeps its place longer."""
        self._blobs[digest] = self._blobs.pop(digest)
        return self._blobs[digest][1]

    def find(self, info_hash: InfoHash) -> tuple[LentFile, SegmentTorrent] | None:
        """The file, and the torrent of a segment in it, that an info-hash stands for."""
        return self._segments.get(info_hash)

    def undisguised(self, disguise: bytes) -> InfoHash | None:
        """The torrent that a peer names in an obfuscated opening."""
        return self._disguised.get(disguise)

    def add(self, lent: LentFile, torrents: Sequence[SegmentTorrent]) -> None:
        """Offer a blob; the least used ones give up their places to it."""
        self.withdraw(lent.digest)
        while self._blobs and not self.has_room(lent.size):
            self.withdraw(next(iter(self._blobs)))
        self._blobs[lent.digest] = (lent, torrents)
        for torrent in torrents:
            self._segments[torrent.info_hash] = (lent, torrent)
            self._disguised[disguised(torrent.info_hash)] = torrent.info_hash

    def withdraw(self, digest: Digest) -> None:
        """Offer a blob no longer; harmless when repeated."""
        if digest not in self._blobs:
            return
        _, torrents = self._blobs.pop(digest)
        for torrent in torrents:
            self._segments.pop(torrent.info_hash, None)
            self._disguised.pop(disguised(torrent.info_hash), None)
        for listener in self.on_withdraw:
            listener(digest)
