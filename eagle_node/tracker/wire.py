"""BitTorrent HTTP announce and scrape: query strings in, bencoded replies out. No IO.

BEP 3 (announce), 7 (IPv6), 23 (compact peers), 24 (external ip), 48 (scrape), 52 (v2 info-hashes,
cut to 20 bytes). Queries are taken raw: info-hashes are percent-encoded bytes, not text.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from eagle_node.base.ids import InfoHash
from eagle_node.runtime.sockets import is_loopback
from eagle_node.tracker.bencode import Bencodable, bencode
from eagle_node.tracker.fields import Malformed
from eagle_node.tracker.schema import canonical_ip

DEFAULT_PEERS = 50
MAX_PEERS = 200
MAX_SCRAPE = 74
"""Torrents in one scrape: the bound of UDP trackers (BEP 15) serves for HTTP, too."""


class Event(enum.Enum):
    """Why a client announces; `NONE` is the periodic announce."""

    NONE = ""
    STARTED = "started"
    COMPLETED = "completed"
    STOPPED = "stopped"
    PAUSED = "paused"
    """A partial seed (BEP 21)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announce:
    """One announce, checked."""

    info_hash: InfoHash
    peer_id: bytes
    host: str
    """Canonical IP address that the client is reached at."""
    port: int
    left: int
    """Bytes that it still lacks."""
    event: Event = Event.NONE
    wanted: int = DEFAULT_PEERS
    compact: bool = True
    no_peer_id: bool = False
    key: bytes = b""
    """Proves, across a change of address, that it is the same client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmPeer:
    """A peer in a reply; nodes have no peer id that we know of."""

    host: str
    port: int
    peer_id: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many have a torrent, and how many are getting it."""

    complete: int = 0
    incomplete: int = 0
    downloaded: int = 0
    """Completions that were announced."""


def parse_announce(query: str, remote: str) -> Announce:
    """The announce in a raw ``query`` from ``remote``; `Malformed` names the parameter.

    ``ip`` is honoured only from this machine: else anybody could point the swarm at a third party.
    """
    given = dict(_pairs(query))
    host = remote
    if "ip" in given and is_loopback(remote):
        host = given["ip"].decode("ascii", "replace")
    try:
        host = canonical_ip(host)
    except ValueError as error:
        raise Malformed("ip: not an IP address") from error
    wanted = _integer(given, "numwant", DEFAULT_PEERS, low=-1)
    return Announce(
        info_hash=_info_hash(given.get("info_hash", b"")),
        peer_id=_peer_id(given.get("peer_id", b"")),
        host=host,
        port=_integer(given, "port", None, low=1, high=65535),
        left=_integer(given, "left", 1),
        event=_event(given.get("event", b"")),
        wanted=DEFAULT_PEERS if wanted < 0 else min(wanted, MAX_PEERS),
        compact=given.get("compact") != b"0",
        no_peer_id=given.get("no_peer_id") == b"1",
        key=given.get("key", b"")[:64],
    )


def parse_scrape(query: str) -> tuple[InfoHash, ...]:
    """The info-hashes of a scrape; `Malformed` if none: the whole table is not for sale."""
    hashes = tuple(_info_hash(value) for name, value in _pairs(query) if name == "info_hash")
    if not 0 < len(hashes) <= MAX_SCRAPE:
        raise Malformed(f"info_hash: from 1 to {MAX_SCRAPE} are scraped at a time")
    return hashes


def render_announce(
    announce: Announce, peers: Iterable[SwarmPeer], tally: Tally, interval_s: float
) -> bytes:
    """The reply to ``announce``, in the form that it asked for."""
    peers = list(peers)
    reply: dict[bytes, Bencodable] = {
        b"interval": round(interval_s),
        b"min interval": max(1, round(interval_s / 2)),
        b"complete": tally.complete,
        b"incomplete": tally.incomplete,
        b"external ip": ipaddress.ip_address(announce.host).packed,
    }
    if announce.compact:
        packed = [_compact(peer) for peer in peers]
        reply[b"peers"] = b"".join(peer for peer in packed if len(peer) == 6)
        if six := b"".join(peer for peer in packed if len(peer) == 18):
            reply[b"peers6"] = six
    else:
        reply[b"peers"] = [_verbose(peer, announce.no_peer_id) for peer in peers]
    return bencode(reply)


def render_scrape(tallies: Sequence[tuple[InfoHash, Tally]]) -> bytes:
    """The reply to a scrape (BEP 48)."""
    files: dict[bytes, Bencodable] = {
        info_hash: {
            b"complete": tally.complete,
            b"incomplete": tally.incomplete,
            b"downloaded": tally.downloaded,
        }
        for info_hash, tally in tallies
    }
    return bencode({b"files": files})


def render_failure(reason: str) -> bytes:
    """The refusal of an announce or scrape."""
    return bencode({b"failure reason": reason.encode()})


def _pairs(query: str) -> Iterable[tuple[str, bytes]]:
    for part in query.encode("utf-8", "surrogateescape").split(b"&"):
        name, _, value = part.partition(b"=")
        yield unquote_to_bytes(name).decode("ascii", "replace"), unquote_to_bytes(value)


def _info_hash(value: bytes) -> InfoHash:
    if len(value) not in (20, 32):
        raise Malformed("info_hash: expected 20 percent-encoded bytes")
    return InfoHash(value[:20])


def _peer_id(value: bytes) -> bytes:
    if len(value) != 20:
        raise Malformed("peer_id: expected 20 percent-encoded bytes")
    return value


def _event(value: bytes) -> Event:
    try:
        return Event(value.decode("ascii", "replace"))
    except ValueError:
        return Event.NONE


def _integer(
    given: dict[str, bytes], name: str, default: int | None, *, low: int = 0, high: int = 1 << 63
) -> int:
    text = given.get(name)
    if text is None and default is not None:
        return default
    digits = (text or b"").removeprefix(b"-")
    if not digits.isdigit() or len(digits) > 19 or not low <= int(text or b"") <= high:
        raise Malformed(f"{name}: expected an integer from {low} to {high}")
    return int(text or b"")


def _compact(peer: SwarmPeer) -> bytes:
    return ipaddress.ip_address(peer.host).packed + peer.port.to_bytes(2, "big")


def _verbose(peer: SwarmPeer, no_peer_id: bool) -> dict[bytes, Bencodable]:
    entry: dict[bytes, Bencodable] = {b"ip": peer.host.encode(), b"port": peer.port}
    if peer.peer_id is not None and not no_peer_id:
        entry[b"peer id"] = peer.peer_id
    return entry
