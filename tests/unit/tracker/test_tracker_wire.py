"""Announces and scrapes as clients send them."""

from __future__ import annotations

from typing import Any

import libtorrent as lt
import pytest

from eagle_node.tracker.fields import Malformed
from eagle_node.tracker.wire import (
    DEFAULT_PEERS,
    MAX_PEERS,
    MAX_SCRAPE,
    Announce,
    Event,
    SwarmPeer,
    Tally,
    parse_announce,
    parse_scrape,
    render_announce,
    render_failure,
    render_scrape,
)
from tests.unit.tracker.builders import info_hash

BASE = "info_hash=%15x%d3%b5%d0%ad%1bG%14o%86%0bod%ba%19%c7%ffg1&peer_id=-qB4520-I6PYoMJ3AA11"


def announce(extra: str = "", *, remote: str = "192.0.2.7") -> Announce:
    """An announce with port 6881."""
    return parse_announce(f"{BASE}&port=6881{extra}", remote)


def decoded(reply: bytes) -> Any:
    """A reply as libtorrent reads it."""
    return lt.bdecode(reply)


def test_what_a_client_sends() -> None:
    """Every field of a real client's query is understood."""
    query = (
        f"{BASE}&port=46201&uploaded=0&downloaded=0&left=3145728&corrupt=0&key=0C65F3F9"
        "&event=started&numwant=200&compact=1&no_peer_id=1&supportcrypto=1&redundant=0"
    )
    got = parse_announce(query, "192.0.2.7")
    assert got.info_hash.hex() == "1578d3b5d0ad1b47146f860b6f64ba19c7ff6731"
    assert got.peer_id == b"-qB4520-I6PYoMJ3AA11"
    assert (got.host, got.port, got.left, got.event) == ("192.0.2.7", 46201, 3145728, Event.STARTED)
    assert (got.wanted, got.compact, got.no_peer_id, got.key) == (200, True, True, b"0C65F3F9")


def test_an_info_hash_is_bytes() -> None:
    """Plus signs, unescaped bytes and NULs of an info-hash are taken as they are."""
    raw = "+%00%ff" + "a" * 16 + "\udce9"
    got = parse_announce(f"info_hash={raw}&peer_id={'p' * 20}&port=1", "::1")
    assert got.info_hash == b"+\x00\xff" + b"a" * 16 + b"\xe9"


def test_a_whole_v2_hash_is_cut() -> None:
    """32 bytes are shortened to the 20 that announces carry (BEP 52)."""
    got = parse_announce(f"info_hash={'%aa' * 32}&peer_id={'p' * 20}&port=1", "::1")
    assert got.info_hash == b"\xaa" * 20


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("", "info_hash"),
        ("info_hash=abc", "info_hash"),
        (f"{BASE[:-1]}&port=1", "peer_id"),
        (BASE, "port"),
        (f"{BASE}&port=0", "port"),
        (f"{BASE}&port=65536", "port"),
        (f"{BASE}&port=1e3", "port"),
        (f"{BASE}&port=1&left=-1", "left"),
        (f"{BASE}&port=1&numwant=x", "numwant"),
        (f"{BASE}&port={'1' * 5000}", "port"),
    ],
)
def test_a_broken_announce_is_refused(query: str, complaint: str) -> None:
    """The error names the parameter."""
    with pytest.raises(Malformed, match=complaint):
        parse_announce(query, "192.0.2.7")


def test_events_that_nobody_knows_are_periodic_announces() -> None:
    """An unknown event does no harm."""
    assert announce("&event=empty").event is Event.NONE
    assert announce("&event=stopped").event is Event.STOPPED
    assert announce("&event=paused").event is Event.PAUSED


@pytest.mark.parametrize(
    ("given", "wanted"), [("", DEFAULT_PEERS), ("-1", DEFAULT_PEERS), ("0", 0), ("999", MAX_PEERS)]
)
def test_numwant_is_bounded(given: str, wanted: int) -> None:
    """Nobody gets more peers than the bound."""
    assert announce(f"&numwant={given}" if given else "").wanted == wanted


def test_only_this_machine_names_another_address() -> None:
    """``ip`` from elsewhere is ignored: it would point the swarm at a third party."""
    assert announce("&ip=198.51.100.9").host == "192.0.2.7"
    assert announce("&ip=198.51.100.9", remote="127.0.0.1").host == "198.51.100.9"
    with pytest.raises(Malformed, match="ip"):
        announce("&ip=example.org", remote="127.0.0.1")


def test_a_v4_client_on_a_v6_socket_is_v4() -> None:
    """A mapped address is unmapped."""
    assert announce(remote="::ffff:192.0.2.7").host == "192.0.2.7"


def test_compact_replies_keep_families_apart() -> None:
    """IPv4 peers are 6 bytes each in ``peers``, IPv6 ones 18 in ``peers6`` (BEP 23, BEP 7)."""
    peers = [SwarmPeer(host="10.0.0.1", port=258), SwarmPeer(host="::1", port=1)]
    reply = decoded(render_announce(announce(), peers, Tally(complete=2, incomplete=3), 30.0))
    assert reply[b"peers"] == b"\x0a\x00\x00\x01\x01\x02"
    assert reply[b"peers6"] == bytes(15) + b"\x01\x00\x01"
    assert (reply[b"interval"], reply[b"complete"], reply[b"incomplete"]) == (30, 2, 3)
    assert reply[b"external ip"] == bytes([192, 0, 2, 7])


def test_verbose_replies_on_demand() -> None:
    """``compact=0`` gets dictionaries, with peer ids unless declined."""
    peer = SwarmPeer(host="10.0.0.1", port=1, peer_id=b"p" * 20)
    reply = decoded(render_announce(announce("&compact=0"), [peer], Tally(), 30.0))
    assert reply[b"peers"] == [{b"ip": b"10.0.0.1", b"port": 1, b"peer id": b"p" * 20}]
    short = announce("&compact=0&no_peer_id=1")
    reply = decoded(render_announce(short, [peer], Tally(), 30.0))
    assert reply[b"peers"] == [{b"ip": b"10.0.0.1", b"port": 1}]


def test_scrapes() -> None:
    """One or several torrents are scraped, not all of them (BEP 48)."""
    one = f"info_hash={'a' * 20}"
    assert parse_scrape(f"{one}&info_hash={'b' * 20}") == (b"a" * 20, b"b" * 20)
    for query in ("", "&".join([one] * (MAX_SCRAPE + 1))):
        with pytest.raises(Malformed):
            parse_scrape(query)
    reply = decoded(render_scrape([(info_hash(1), Tally(complete=1, downloaded=2))]))
    tally = {b"complete": 1, b"incomplete": 0, b"downloaded": 2}
    assert reply == {b"files": {info_hash(1): tally}}


def test_refusals_are_bencoded() -> None:
    """A failure is a dictionary with a reason."""
    assert decoded(render_failure("no")) == {b"failure reason": b"no"}
