"""Who is connected for which torrent, and what they have of each other.

libtorrent's thread is asked and waited for, well under a millisecond for each torrent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import libtorrent as lt

from eagle_node.base.ids import InfoHash


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One end of a torrent's connection."""

    host: str
    port: int
    received_rate: int
    """Payload, bytes/s over libtorrent's last seconds."""
    sent_rate: int


class Connections:
    """Those of the torrents ``handles``."""

    def __init__(self, handles: Mapping[InfoHash, Any]) -> None:
        self._handles = handles
        self._linked: dict[InfoHash, None] = {}
        """Torrents that may have connections, those that had their first longest ago first."""

    def began(self, info_hash: InfoHash) -> None:
        """A torrent has got a connection."""
        if info_hash in self._handles:
            self._linked.pop(info_hash, None)
            self._linked[info_hash] = None

    def forget(self, info_hash: InfoHash) -> None:
        """A torrent is let go."""
        self._linked.pop(info_hash, None)

    def offers(self, info_hash: InfoHash) -> list[tuple[tuple[str, int], bool]]:
        """The remote ends of a torrent's, and whether they have what is missing here."""
        handle = self._handles.get(info_hash)
        if handle is None:
            return []
        return [
            (tuple(peer.ip), bool(peer.flags & lt.peer_info.interesting))
            for peer in _established(handle.get_peer_info())
        ]

    def draw_from(self, info_hashes: Iterable[InfoHash]) -> bool:
        """Whether a peer wants something of one of these torrents."""
        return any(
            peer.flags & lt.peer_info.remote_interested
            for info_hash in info_hashes
            if info_hash in self._linked
            for peer in self._handles[info_hash].get_peer_info()
        )

    def latest(self, most: int) -> dict[InfoHash, list[Connection]]:
        """Those of the ``most`` torrents that were connected last."""
        found: dict[InfoHash, list[Connection]] = {}
        for info_hash in list(reversed(self._linked))[:most]:
            peers = self._handles[info_hash].get_peer_info()
            if not peers:
                del self._linked[info_hash]
            found[info_hash] = [
                Connection(
                    host=peer.ip[0],
                    port=peer.ip[1],
                    received_rate=peer.payload_down_speed,
                    sent_rate=peer.payload_up_speed,
                )
                for peer in _established(peers)
            ]
        return {info_hash: peers for info_hash, peers in found.items() if peers}


def _established(peers: Iterable[Any]) -> Iterator[Any]:
    pending = lt.peer_info.connecting | lt.peer_info.handshake
    return (peer for peer in peers if not peer.flags & pending)
