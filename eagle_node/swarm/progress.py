"""What downloading torrents come to, told to who asked for them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import libtorrent as lt

from eagle_node.base.ids import InfoHash
from eagle_node.swarm.events import (
    PeerLost,
    PieceRejected,
    TorrentEvent,
    TorrentFailed,
    TorrentFinished,
    TorrentProgressed,
)

log = logging.getLogger(__name__)

Observer = Callable[[TorrentEvent], None]

_ENOSPC = 28


class Progress:
    """Downloads among the torrents ``handles``, from their start until their file is whole."""

    def __init__(self, handles: Mapping[InfoHash, Any]) -> None:
        self._handles = handles
        self._observers: dict[InfoHash, Observer] = {}
        self._active: set[InfoHash] = set()
        self._flushing: set[InfoHash] = set()
        """Complete, but for the last blocks on their way into the file."""

    @property
    def is_awaited(self) -> bool:
        """Whether something is being downloaded."""
        return bool(self._active)

    def is_coming(self, info_hash: InfoHash) -> bool:
        """Whether a torrent is downloaded, and not all in its file yet."""
        return info_hash in self._active or info_hash in self._flushing

    def begin(self, info_hash: InfoHash, observer: Observer) -> None:
        """A torrent is to be downloaded."""
        self._observers[info_hash] = observer
        self._active.add(info_hash)

    def end(self, info_hash: InfoHash) -> None:
        """A torrent is let go, whole or not."""
        self._observers.pop(info_hash, None)
        self._active.discard(info_hash)
        self._flushing.discard(info_hash)

    def complete(self, info_hash: InfoHash) -> None:
        """Every piece is here and verified; the observer hears of it once the file has them."""
        if info_hash not in self._active:
            return
        self._active.discard(info_hash)
        self._flushing.add(info_hash)
        handle = self._handles[info_hash]
        handle.unset_flags(lt.torrent_flags.update_subscribe)
        handle.flush_cache()

    def flushed(self, info_hash: InfoHash) -> None:
        """Everything of a torrent is in its file."""
        if info_hash in self._flushing:
            self._flushing.discard(info_hash)
            self._tell(TorrentFinished(info_hash))

    def updated(self, status: Any) -> None:
        """libtorrent tells the state of a torrent."""
        info_hash = hash_of(status.info_hashes)
        if info_hash not in self._active:
            return
        if status.is_seeding:
            self.complete(info_hash)
            return
        self._tell(TorrentProgressed(info_hash, status.total_done, status.num_peers))

    def lost(self, info_hash: InfoHash, host: str, port: int) -> None:
        """A connection has ended."""
        if info_hash in self._active:
            self._tell(PeerLost(info_hash, host, port))

    def failed(self, info_hash: InfoHash, error: Any, message: str) -> None:
        """A torrent has stopped."""
        self._tell(TorrentFailed(info_hash, message, error.value() == _ENOSPC))

    def rejected(self, info_hash: InfoHash, piece: int) -> None:
        """A piece had another hash."""
        self._tell(PieceRejected(info_hash, piece))

    def _tell(self, event: TorrentEvent) -> None:
        observer = self._observers.get(event.info_hash)
        if observer is not None:
            observer(event)
        elif isinstance(event, TorrentFailed):
            log.warning("torrent %s: %s", event.info_hash.hex(), event.reason)


def hash_of(info_hashes: Any) -> InfoHash:
    """The name of a torrent in the swarm: v2's, cut to 20 bytes (BEP 52)."""
    return InfoHash(info_hashes.get_best().to_bytes()[:20])
