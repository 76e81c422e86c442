"""BitTorrent's peer protocol, as far as a reader of blocks speaks it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eagle_node.base.ids import InfoHash
from eagle_node.swarm.peer_wire import (
    BadPeer,
    Block,
    Kind,
    Pieces,
    handshake,
    message,
    parse_block,
    parse_handshake,
    parse_piece,
    piece_header,
)

info_hashes = st.binary(min_size=20, max_size=20).map(InfoHash)
numbers = st.integers(0, 2**32 - 1)


@given(info_hashes, st.binary(min_size=20, max_size=20), st.booleans())
def test_a_handshake_tells_its_torrent(info_hash: InfoHash, peer_id: bytes, fast: bool) -> None:
    """Whoever sends it."""
    assert parse_handshake(handshake(info_hash, peer_id, fast=fast)) == (info_hash, fast)


@given(numbers, numbers, st.binary(max_size=100))
def test_a_block_is_what_its_message_says(piece: int, begin: int, data: bytes) -> None:
    """Number, offset, bytes (BEP 3); the request for it names the same."""
    block = Block(piece, begin, len(data))
    sent = piece_header(block) + data
    assert sent[:4] == (len(sent) - 4).to_bytes(4, "big")
    assert parse_piece(sent[4:]) == (block, data)
    asked = message(Kind.REQUEST, block.pack())
    assert asked[:5] == (13).to_bytes(4, "big") + bytes([Kind.REQUEST])
    assert asked[5:13] == sent[5:13]
    assert parse_block(asked[4:]) == block


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
    for read in (parse_block, parse_piece, Pieces().learn):
        try:
            read(body)
        except BadPeer:
            pass
