"""BitTorrent clients that are no nodes: known by their announces only, forgotten soon after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from eagle_node.base.ids import InfoHash
from eagle_node.tracker.wire import Announce, Event, SwarmPeer, Tally

MAX_STRANGERS = 1000
"""Strangers remembered per torrent; more are answered, not remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """A client that has announced a torrent."""

    peer: SwarmPeer
    key: bytes
    """Secret by which the client is known again at another address; may be empty."""
    complete: bool
    seen: float


class Strangers:
    """Who has announced which torrent, by address."""

    def __init__(self) -> None:
        self._by_torrent: dict[InfoHash, dict[tuple[str, int], Stranger]] = {}
        self._downloads: dict[InfoHash, int] = {}

    def announce(self, announce: Announce, now: float) -> None:
        """Take note of ``announce``."""
        strangers = self._by_torrent.setdefault(announce.info_hash, {})
        at = announce.host, announce.port
        if at not in strangers and announce.key:
            _forget_moved(strangers, announce)
        if announce.event is Event.STOPPED:
            strangers.pop(at, None)
        elif at in strangers or len(strangers) < MAX_STRANGERS:
            strangers[at] = Stranger(
                peer=SwarmPeer(host=announce.host, port=announce.port, peer_id=announce.peer_id),
                key=announce.key,
                complete=announce.left == 0,
                seen=now,
            )
        if announce.event is Event.COMPLETED:
            self._downloads[announce.info_hash] = self._downloads.get(announce.info_hash, 0) + 1

    def peers(self, info_hash: InfoHash) -> Iterator[Stranger]:
        """The strangers on a torrent."""
        yield from self._by_torrent.get(info_hash, {}).values()

    def tally(self, info_hash: InfoHash) -> Tally:
        """How many strangers have a torrent, and how many are getting it."""
        complete = [stranger.complete for stranger in self.peers(info_hash)]
        return Tally(
            complete=sum(complete),
            incomplete=len(complete) - sum(complete),
            downloaded=self._downloads.get(info_hash, 0),
        )

    def expire(self, before: float) -> None:
        """Forget strangers that have not announced since ``before``, and torrents without any."""
        for info_hash, strangers in list(self._by_torrent.items()):
            for at, stranger in list(strangers.items()):
                if stranger.seen < before:
                    del strangers[at]
            if not strangers:
                del self._by_torrent[info_hash]
                self._downloads.pop(info_hash, None)


def _forget_moved(strangers: dict[tuple[str, int], Stranger], announce: Announce) -> None:
    """Remove the old address of a client that has changed it (BEP 3, ``key``)."""
    for at, stranger in list(strangers.items()):
        if (stranger.peer.peer_id, stranger.key) == (announce.peer_id, announce.key):
            del strangers[at]
