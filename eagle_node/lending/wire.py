"""BitTorrent's peer messages as a seed needs them (BEP 3, 6, 52). No IO."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from eagle_node.base.errors import EagleError
from eagle_node.base.ids import InfoHash
from eagle_node.blobs.segments import Segment

HANDSHAKE_LENGTH = 68
MOST_LENGTH = 128 << 10
"""Bytes that one request may ask for (what BEP 3 says others drop connections above)."""
_LONGEST = 1 << 20
"""Bytes of a message; the largest that a seed is sent is a bitfield."""
PROTOCOL = b"\x13BitTorrent protocol"
"""What a handshake begins with."""
_FAST, _V2 = 0x04, 0x10
"""Bits of the last reserved byte: BEP 6 and BEP 52."""
_UNCHOKE, _INTERESTED, _NOT_INTERESTED, _BITFIELD = 1, 2, 3, 5
_REQUEST, _PIECE, _CANCEL = 6, 7, 8
_HAVE_ALL, _REJECT = 14, 16
_HASH_REQUEST, _HASH_REJECT = 21, 23


class BadPeer(EagleError):
    """A peer does not speak BitTorrent, or asks for what is not there."""


@dataclass(frozen=True, slots=True, order=True)
class Block:
    """Bytes ``[offset, offset + length)`` of a segment, as a request names them."""

    piece: int
    begin: int
    length: int

    def offset(self, piece_length: int) -> int:
        """Where it begins in its segment."""
        return self.piece * piece_length + self.begin


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
    """The peer wants hashes of the tree (BEP 52); ``question`` is repeated in a refusal."""

    question: bytes


Message = Interested | Requested | Cancelled | HashesRequested


def parse_handshake(data: bytes) -> tuple[InfoHash, bool]:
    """The torrent that a peer wants, and whether it speaks BEP 6; `BadPeer`."""
    if len(data) != HANDSHAKE_LENGTH or not data.startswith(PROTOCOL):
        raise BadPeer("no handshake of BitTorrent in plain text")
    return InfoHash(data[28:48]), bool(data[27] & _FAST)


def handshake(info_hash: InfoHash, peer_id: bytes) -> bytes:
    """The answer to one."""
    return PROTOCOL + bytes(7) + bytes([_FAST | _V2]) + info_hash + peer_id


class Incoming:
    """Cuts what a peer sends into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are complete; those that a seed has no use for are left out."""
        self._buffer += data
        while len(self._buffer) >= 4:
            length = int.from_bytes(self._buffer[:4], "big")
            if length > _LONGEST:
                raise BadPeer(f"a message of {length} bytes")
            if len(self._buffer) < 4 + length:
                return
            body = bytes(self._buffer[4 : 4 + length])
            del self._buffer[: 4 + length]
            message = _parse(body) if body else None
            if message is not None:
                yield message


def have_all(segment: Segment, *, fast: bool) -> bytes:
    """Tells a peer that every piece is here."""
    if fast:
        return _message(_HAVE_ALL)
    pieces = -(-segment.length // segment.piece_length)
    bits = ((1 << pieces) - 1) << (-pieces % 8)
    return _message(_BITFIELD, bits.to_bytes((pieces + 7) // 8, "big"))


def unchoke() -> bytes:
    """Tells a peer that it may ask."""
    return _message(_UNCHOKE)


def piece_header(block: Block) -> bytes:
    """What precedes the bytes of a block."""
    return struct.pack(">IBII", 9 + block.length, _PIECE, block.piece, block.begin)


def reject(block: Block) -> bytes:
    """Refuses a block (BEP 6)."""
    return _message(_REJECT, struct.pack(">III", block.piece, block.begin, block.length))


def reject_hashes(question: bytes) -> bytes:
    """Refuses hashes (BEP 52)."""
    return _message(_HASH_REJECT, question)


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
        case kind if kind in (_INTERESTED, _NOT_INTERESTED):
            return Interested(kind == _INTERESTED)
        case kind if kind in (_REQUEST, _CANCEL):
            if len(body) != 13:
                raise BadPeer(f"a request of {len(body)} bytes")
            block = Block(*struct.unpack(">III", body[1:]))
            return Requested(block) if kind == _REQUEST else Cancelled(block)
        case kind if kind == _HASH_REQUEST:
            return HashesRequested(body[1:])
    return None


def _message(kind: int, payload: bytes = b"") -> bytes:
    return struct.pack(">IB", 1 + len(payload), kind) + payload
