"""BitTorrent's peer protocol, as far as a reader of blocks speaks it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_node.base.ids import InfoHash
from eagle_node.swarm.peer_wire import (
    HANDSHAKE,
    BadPeer,
    Block,
    Kind,
    Pieces,
    check_handshake,
    handshake,
    parse_block,
    request,
)

info_hashes = st.binary(min_size=20, max_size=20).map(InfoHash)


@given(info_hashes, info_hashes)
def test_a_handshake_is_for_one_torrent(ours: InfoHash, theirs: InfoHash) -> None:
    """Of 68 bytes; another torrent's, or none at all, is refused."""
    shaken = handshake(theirs, bytes(20))
    assert len(shaken) == HANDSHAKE
    if ours == theirs:
        check_handshake(shaken, ours)
    else:
        with pytest.raises(BadPeer):
            check_handshake(shaken, ours)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.binary(max_size=100))
def test_a_block_is_what_its_message_says(piece: int, begin: int, data: bytes) -> None:
    """Number, offset, bytes (BEP 3); the request for it names the same."""
    head = piece.to_bytes(4, "big") + begin.to_bytes(4, "big")
    block = parse_block(bytes([Kind.PIECE]) + head + data)
    assert block == Block(piece=piece, begin=begin, data=data)
    asked = request(piece, begin, len(data))
    assert asked[:5] == (13).to_bytes(4, "big") + bytes([Kind.REQUEST])
    assert asked[5:13] == head
    assert int.from_bytes(asked[13:], "big") == len(data)


@given(st.sets(st.integers(0, 99)), st.sets(st.integers(0, 200)))
def test_pieces_are_those_of_the_bitfield_and_of_haves(first: set[int], later: set[int]) -> None:
    """Most significant bit first (BEP 3)."""
    bits = bytearray(13)
    for piece in first:
        bits[piece // 8] |= 0x80 >> piece % 8
    pieces = Pieces()
    pieces.learn(bytes([Kind.BITFIELD]) + bytes(bits))
    for piece in later:
        pieces.learn(bytes([Kind.HAVE]) + piece.to_bytes(4, "big"))
    assert {piece for piece in range(250) if piece in pieces} == first | later


@given(st.binary(min_size=1, max_size=100))
def test_no_message_crashes_the_reader(body: bytes) -> None:
    """It is understood, or refused as this protocol's error."""
    for read in (parse_block, Pieces().learn):
        try:
            read(body)
        except BadPeer:
            pass
