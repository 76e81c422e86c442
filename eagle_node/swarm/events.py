"""What happens in the swarm. Facts in the past tense; libtorrent's types stay behind them."""

from __future__ import annotations

from dataclasses import dataclass

from eagle_node.base.ids import InfoHash


@dataclass(frozen=True, slots=True)
class TorrentFinished:
    """Every piece of a torrent is here and verified."""

    info_hash: InfoHash


@dataclass(frozen=True, slots=True)
class TorrentProgressed:
    """State of a downloading torrent, about twice a second while it changes."""

    info_hash: InfoHash
    done: int
    """Bytes that are here; fewer again when a piece turns out wrong."""
    peers: int
    """Connections."""


@dataclass(frozen=True, slots=True)
class TorrentFailed:
    """A torrent stopped: disk full, file taken away, metainfo refused."""

    info_hash: InfoHash
    reason: str
    disk_full: bool


@dataclass(frozen=True, slots=True)
class PieceRejected:
    """A peer sent a piece whose hash is wrong; libtorrent bans peers that keep doing so."""

    info_hash: InfoHash
    piece: int


@dataclass(frozen=True, slots=True)
class PeerLost:
    """A connection of a downloading torrent has ended, or was refused."""

    info_hash: InfoHash
    host: str
    port: int


TorrentEvent = PeerLost | TorrentFinished | TorrentProgressed | TorrentFailed | PieceRejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Totals of the session since its start, bytes."""

    sent_payload: int
    received_payload: int
    sent: int
    """Everything on the wire, with protocol and estimated IP overhead."""
    received: int
