"""Who is connected for which torrent, and what they have of each other.

libtorrent's thread is asked and waited for, well under a millisecond for each torrent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import libtorrent as lt

from eagle_node.base.ids import InfoHash

_PENDING = lt.peer_info.connecting | lt.peer_info.handshake
_LEAST = 32
"""Torrents that are looked at in one turn, or an eighth of those that are too many."""


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

    def close_idle(self, keep: int, is_needed: Callable[[InfoHash], bool]) -> None:
        """End those of whole torrents that no peer draws on, but for the ``keep`` latest torrents'.

        libtorrent would keep them for ever, one for each segment and neighbour, until its limit is
        reached and nobody can be dialled. Whoever is interested again connects again.
        """
        excess = len(self._linked) - keep
        for info_hash in list(islice(self._linked, max(0, min(excess, max(_LEAST, excess // 8))))):
            handle = self._handles[info_hash]
            del self._linked[info_hash]
            peers = [] if is_needed(info_hash) else handle.get_peer_info()
            if is_needed(info_hash) or any(map(_is_used, peers)):
                self._linked[info_hash] = None
            elif peers:
                handle.replace_trackers([])
                handle.pause()
                handle.resume()

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


def _is_used(peer: Any) -> bool:
    """Whether a connection begins, or one of its ends wants something."""
    used = lt.peer_info.remote_interested | lt.peer_info.interesting
    return bool(peer.flags & (_PENDING | used))


def _established(peers: Iterable[Any]) -> Iterator[Any]:
    return (peer for peer in peers if not peer.flags & _PENDING)
