"""The messages of a seed."""

from __future__ import annotations

import struct

import pytest

from eagle_node.base.digest import digest_of
from eagle_node.blobs.segments import Segment
from eagle_node.lending import wire
from eagle_node.swarm.merkle import layer_root
from eagle_node.swarm.peer_wire import BadPeer, Block, Kind, message
from eagle_node.swarm.torrents import SegmentTorrent, assemble_torrent

SEGMENT = Segment(0, 0, 100_000)
PIECE = SEGMENT.piece_length


def test_messages_are_cut_wherever_they_arrive() -> None:
    """One byte at a time; keep-alives and what a seed has no use for are left out."""
    block = struct.pack(">III", 1, 16384, 16384)
    stream = b"".join(
        [
            bytes(4),
            message(Kind.INTERESTED),
            b"\0\0\0\x0a\x14d1:md0:ee",
            message(Kind.REQUEST, block),
            message(Kind.CANCEL, block),
            message(Kind.HASH_REQUEST, b"question"),
            message(Kind.NOT_INTERESTED),
        ]
    )
    incoming = wire.Incoming()
    found = [each for at in range(len(stream)) for each in incoming.feed(stream[at : at + 1])]
    asked = Block(1, 16384, 16384)
    assert found == [
        wire.Interested(True),
        wire.Requested(asked),
        wire.Cancelled(asked),
        wire.HashesRequested(b"question"),
        wire.Interested(False),
    ]


def test_a_message_that_is_too_long_ends_the_connection() -> None:
    """No peer makes a seed keep more than a MiB."""
    with pytest.raises(BadPeer, match="a message of"):
        list(wire.Incoming().feed(b"\xff\xff\xff\xff"))
    with pytest.raises(BadPeer, match="a request of"):
        list(wire.Incoming().feed(message(Kind.REQUEST, b"short")))


@pytest.mark.parametrize(
    "block",
    [
        Block(0, 0, 0),
        Block(0, 0, wire.MOST_LENGTH + 1),
        Block(0, PIECE - 1, 2),
        Block(-(-SEGMENT.length // PIECE), 0, 1),
        Block(SEGMENT.length // PIECE, SEGMENT.length % PIECE, 1),
        Block(0xFFFFFFFF, 0xFFFFFFFF, 16384),
    ],
)
def test_only_blocks_of_the_segment_are_given(block: Block) -> None:
    """The bytes beside a segment in its file are another segment's, or nobody's."""
    with pytest.raises(BadPeer, match="a request for"):
        wire.check_block(block, SEGMENT)


def _torrent(length: int) -> SegmentTorrent:
    segment = Segment(0, 0, length)
    layer = b"".join(bytes([number]) * 32 for number in range(-(-length // segment.piece_length)))
    return assemble_torrent(layer, digest_of(b"blob"), segment)


@pytest.mark.parametrize("length", [100_000, 256 << 10, (1 << 20) + 1, 9 << 20])
def test_peers_are_told_the_hashes_of_all_pieces(length: int) -> None:
    """As libtorrent asks for them; up to a power of two, and the root proves them."""
    torrent = _torrent(length)
    piece_length = torrent.segment.piece_length
    count = 1 << (len(torrent.layer) // 32 - 1).bit_length()
    level = (piece_length >> 14).bit_length() - 1
    question = torrent.root + struct.pack(">IIII", level, 0, count, count.bit_length() - 2)
    answer = wire.hashes(question, torrent)
    assert answer[4:5] == bytes([Kind.HASHES])
    assert answer[5:53] == question
    told = answer[53:]
    assert len(told) == 32 * count
    assert told.startswith(torrent.layer)
    assert layer_root(told, piece_length) == torrent.root


@pytest.mark.parametrize(
    "question",
    [
        b"",
        bytes(47),
        bytes(48),
        bytes(49),
        _torrent(1 << 20).root + struct.pack(">IIII", 2, 1, 16, 3),
        _torrent(1 << 20).root + struct.pack(">IIII", 2, 0, 8, 3),
        _torrent(1 << 20).root + struct.pack(">IIII", 0, 0, 16, 3),
        _torrent(1 << 20).root + struct.pack(">IIII", 2, 0, 16, 4),
        _torrent(1 << 20).root + struct.pack(">IIII", 2, 0, 0xFFFFFFFF, 0xFFFFFFFF),
    ],
)
def test_any_other_question_for_hashes_is_refused(question: bytes) -> None:
    """It is repeated, as peers expect."""
    assert wire.hashes(question, _torrent(1 << 20)) == message(Kind.HASH_REJECT, question)


def test_the_last_block_may_be_short() -> None:
    """It ends where the segment does."""
    last = SEGMENT.length // PIECE
    wire.check_block(Block(last, 0, SEGMENT.length - last * PIECE), SEGMENT)


def test_a_seed_has_everything() -> None:
    """By one message to who speaks BEP 6, by a bitfield to others; spare bits are zero."""
    assert wire.have_all(SEGMENT, fast=True) == message(Kind.HAVE_ALL)
    pieces = -(-SEGMENT.length // PIECE)
    field = wire.have_all(SEGMENT, fast=False)
    assert field[4] == 5
    assert int.from_bytes(field[5:], "big").bit_count() == pieces
    assert len(field) == 5 + (pieces + 7) // 8
