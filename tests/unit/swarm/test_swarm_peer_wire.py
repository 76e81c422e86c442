"""What both ends of the peer protocol say."""

from __future__ import annotations

import pytest

from eagle_node.base.ids import InfoHash
from eagle_node.swarm.peer_wire import (
    HANDSHAKE_LENGTH,
    BadPeer,
    Block,
    Kind,
    handshake,
    message,
    parse_block,
    parse_handshake,
)

HASH = InfoHash(bytes(range(20)))
PEER_ID = b"-EG0001-............"


def test_a_handshake_names_a_torrent_and_what_is_spoken() -> None:
    """BEP 52 always, BEP 6 by who gives blocks."""
    seed, reader = handshake(HASH, PEER_ID, fast=True), handshake(HASH, PEER_ID)
    assert len(seed) == len(reader) == HANDSHAKE_LENGTH
    assert parse_handshake(seed) == (HASH, True)
    assert parse_handshake(reader) == (HASH, False)
    assert (seed[20:28], reader[20:28]) == (b"\0" * 7 + b"\x14", b"\0" * 7 + b"\x10")


@pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1\r\n\r\n", bytes(68), b"\x13" * 68])
def test_what_is_no_handshake_is_refused(data: bytes) -> None:
    """Whatever else dials this port."""
    with pytest.raises(BadPeer, match="no handshake"):
        parse_handshake(data)


def test_a_request_that_is_cut_short_is_refused() -> None:
    """It has three numbers of four bytes."""
    asked = message(Kind.REQUEST, Block(1, 2, 3).pack())
    assert parse_block(asked[4:]) == Block(1, 2, 3)
    with pytest.raises(BadPeer, match="a request of"):
        parse_block(asked[4:-1])
