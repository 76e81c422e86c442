"""The messages of a seed."""

from __future__ import annotations

import struct

import pytest

from eagle_node.base.ids import InfoHash
from eagle_node.blobs.segments import Segment
from eagle_node.lending import wire

SEGMENT = Segment(0, 0, 100_000)
PIECE = SEGMENT.piece_length
HASH = InfoHash(bytes(range(20)))


def _message(kind: int, payload: bytes = b"") -> bytes:
    return struct.pack(">IB", 1 + len(payload), kind) + payload


def test_a_handshake_is_read_and_answered() -> None:
    """The answer names the same torrent, and speaks BEP 6 and BEP 52."""
    answer = wire.handshake(HASH, b"-EG0001-............")
    assert len(answer) == wire.HANDSHAKE_LENGTH
    assert wire.parse_handshake(answer) == (HASH, True)
    assert answer[27] == 0x14
    assert wire.parse_handshake(answer[:27] + b"\0" + answer[28:]) == (HASH, False)


@pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1\r\n\r\n", bytes(68), b"\x13" * 68])
def test_what_is_no_handshake_is_refused(data: bytes) -> None:
    """Whatever else dials this port."""
    with pytest.raises(wire.BadPeer, match="no handshake"):
        wire.parse_handshake(data)


def test_messages_are_cut_wherever_they_arrive() -> None:
    """One byte at a time; keep-alives and what a seed has no use for are left out."""
    block = struct.pack(">III", 1, 16384, 16384)
    stream = b"".join(
        [
            bytes(4),
            _message(2),
            _message(20, b"d1:md0:ee"),
            _message(6, block),
            _message(8, block),
            _message(21, b"question"),
            _message(3),
        ]
    )
    incoming = wire.Incoming()
    found = [message for at in range(len(stream)) for message in incoming.feed(stream[at : at + 1])]
    asked = wire.Block(1, 16384, 16384)
    assert found == [
        wire.Interested(True),
        wire.Requested(asked),
        wire.Cancelled(asked),
        wire.HashesRequested(b"question"),
        wire.Interested(False),
    ]


def test_a_message_that_is_too_long_ends_the_connection() -> None:
    """No peer makes a seed keep more than a MiB."""
    with pytest.raises(wire.BadPeer, match="a message of"):
        list(wire.Incoming().feed(b"\xff\xff\xff\xff"))
    with pytest.raises(wire.BadPeer, match="a request of"):
        list(wire.Incoming().feed(_message(6, b"short")))


@pytest.mark.parametrize(
    "block",
    [
        wire.Block(0, 0, 0),
        wire.Block(0, 0, wire.MOST_LENGTH + 1),
        wire.Block(0, PIECE - 1, 2),
        wire.Block(-(-SEGMENT.length // PIECE), 0, 1),
        wire.Block(SEGMENT.length // PIECE, SEGMENT.length % PIECE, 1),
        wire.Block(0xFFFFFFFF, 0xFFFFFFFF, 16384),
    ],
)
def test_only_blocks_of_the_segment_are_given(block: wire.Block) -> None:
    """The bytes beside a segment in its file are another segment's, or nobody's."""
    with pytest.raises(wire.BadPeer, match="a request for"):
        wire.check_block(block, SEGMENT)


def test_the_last_block_may_be_short() -> None:
    """It ends where the segment does."""
    last = SEGMENT.length // PIECE
    wire.check_block(wire.Block(last, 0, SEGMENT.length - last * PIECE), SEGMENT)


def test_a_seed_has_everything() -> None:
    """By one message to who speaks BEP 6, by a bitfield to others; spare bits are zero."""
    assert wire.have_all(SEGMENT, fast=True) == _message(14)
    pieces = -(-SEGMENT.length // PIECE)
    field = wire.have_all(SEGMENT, fast=False)
    assert field[4] == 5
    assert int.from_bytes(field[5:], "big").bit_count() == pieces
    assert len(field) == 5 + (pieces + 7) // 8
