"""What peers ask of a seed, and what it answers (BEP 3, 6, 52; no IO)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from eagle_node.blobs.segments import Segment
from eagle_node.swarm.merkle import BLOCK, padded_layer
from eagle_node.swarm.peer_wire import LONGEST, BadPeer, Block, Kind, message, parse_block
from eagle_node.swarm.torrents import SegmentTorrent

_QUESTION = struct.Struct(">32sIIII")
"""Of the tree with this root: hashes of a level, from one on, so many, with proofs of levels above.
"""
MOST_LENGTH = 128 << 10
"""Bytes that one request may ask for (what BEP 3 says others drop connections above)."""


@dataclass(frozen=True, slots=True)
class Interested:
    """The peer wants something, or nothing any more."""

    yes: bool


@dataclass(frozen=True, slots=True)
class Requested:
    """The peer wants a block."""

    block: Block


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The peer does not want a block any more."""

    block: Block


@dataclass(frozen=True, slots=True)
class HashesRequested:
    """The peer wants hashes of the tree (BEP 52); ``question`` is repeated in the answer."""

    question: bytes


Message = Interested | Requested | Cancelled | HashesRequested


class Incoming:
    """Cuts what a peer sends into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are complete; those that a seed has no use for are left out."""
        self._buffer += data
        while len(self._buffer) >= 4:
            length = int.from_bytes(self._buffer[:4], "big")
            if length > LONGEST:
                raise BadPeer(f"a message of {length} bytes")
            if len(self._buffer) < 4 + length:
                return
            body = bytes(self._buffer[4 : 4 + length])
            del self._buffer[: 4 + length]
            parsed = _parse(body) if body else None
            if parsed is not None:
                yield parsed


def have_all(segment: Segment, *, fast: bool) -> bytes:
    """Tells a peer that every piece is here."""
    if fast:
        return message(Kind.HAVE_ALL)
    pieces = -(-segment.length // segment.piece_length)
    bits = ((1 << pieces) - 1) << (-pieces % 8)
    return message(Kind.BITFIELD, bits.to_bytes((pieces + 7) // 8, "big"))


def hashes(question: bytes, torrent: SegmentTorrent) -> bytes:
    """The hashes of all pieces, which is what libtorrent asks for; else a refusal.

    They prove themselves: the root above all of them is what the torrent is named by.
    """
    if len(question) == _QUESTION.size:
        root, base, first, count, proofs = _QUESTION.unpack(question)
        piece_length = torrent.segment.piece_length
        layer = padded_layer(torrent.layer, piece_length) if torrent.layer else []
        level = (piece_length // BLOCK).bit_length() - 1
        if (root, base, first, count) == (torrent.root, level, 0, len(layer)) and (
            proofs < count.bit_length() - 1
        ):
            return message(Kind.HASHES, question + b"".join(layer))
    return message(Kind.HASH_REJECT, question)


def check_block(block: Block, segment: Segment) -> None:
    """Raise `BadPeer` unless a block is one of the segment's."""
    if not 0 < block.length <= MOST_LENGTH:
        raise BadPeer(f"a request for {block.length} bytes")
    stop = block.begin + block.length
    if stop > segment.piece_length or block.offset(segment.piece_length) + block.length > (
        segment.length
    ):
        raise BadPeer(f"a request for what is not in piece {block.piece}")


def _parse(body: bytes) -> Message | None:
    match body[0]:
        case Kind.INTERESTED:
            return Interested(True)
        case Kind.NOT_INTERESTED:
            return Interested(False)
        case Kind.REQUEST:
            return Requested(parse_block(body))
        case Kind.CANCEL:
            return Cancelled(parse_block(body))
        case Kind.HASH_REQUEST:
            return HashesRequested(body[1:])
    return None
