"""BitTorrent's peer protocol, as who takes blocks and who gives them speaks it (BEP 3; no IO)."""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

from eagle_node.base.errors import EagleError
from eagle_node.base.ids import InfoHash

PROTOCOL = b"\x13BitTorrent protocol"
"""What a handshake begins with."""
HANDSHAKE_LENGTH = 68
"""Bytes."""
LONGEST = 1 << 20
"""Bytes of a message: a bitfield of a large torrent is far below."""
_FAST, _V2 = 0x04, 0x10
"""Bits of the last reserved byte: BEP 6 and BEP 52."""
_BLOCK = struct.Struct(">III")
_PIECE_HEAD = struct.Struct(">II")


class Kind(enum.IntEnum):
    """Messages that matter here (BEP 3, from 14 on BEP 6, from 21 on BEP 52)."""

    CHOKE = 0
    UNCHOKE = 1
    INTERESTED = 2
    NOT_INTERESTED = 3
    HAVE = 4
    BITFIELD = 5
    REQUEST = 6
    PIECE = 7
    CANCEL = 8
    HAVE_ALL = 14
    HASH_REQUEST = 21
    HASHES = 22
    HASH_REJECT = 23


class BadPeer(EagleError):
    """A peer does not speak BitTorrent, or wants what is not there."""


@dataclass(frozen=True, slots=True, order=True)
class Block:
    """Bytes ``[begin, begin + length)`` of a piece, as a request names them."""

    piece: int
    begin: int
    length: int

    def offset(self, piece_length: int) -> int:
        """Where it begins in its segment."""
        return self.piece * piece_length + self.begin

    def pack(self) -> bytes:
        """As requests, cancellations and refusals carry it."""
        return _BLOCK.pack(self.piece, self.begin, self.length)


def handshake(info_hash: InfoHash, peer_id: bytes, *, fast: bool = False) -> bytes:
    """What both ends send first; ``fast``: this one speaks BEP 6."""
    reserved = bytes(7) + bytes([_V2 | _FAST if fast else _V2])
    return PROTOCOL + reserved + info_hash + peer_id


def parse_handshake(data: bytes) -> tuple[InfoHash, bool]:
    """The torrent that a peer means, and whether it speaks BEP 6; `BadPeer`."""
    if len(data) != HANDSHAKE_LENGTH or not data.startswith(PROTOCOL):
        raise BadPeer("no handshake of BitTorrent in plain text")
    return InfoHash(data[28:48]), bool(data[27] & _FAST)


def message(kind: Kind, payload: bytes = b"") -> bytes:
    """Any message but a keep-alive."""
    return struct.pack(">IB", 1 + len(payload), kind) + payload


def parse_block(body: bytes) -> Block:
    """The block that a `Kind.REQUEST` or `Kind.CANCEL` names; ``body`` has its type included."""
    if len(body) != 1 + _BLOCK.size:
        raise BadPeer(f"a request of {len(body)} bytes")
    return Block(*_BLOCK.unpack_from(body, 1))


def piece_header(block: Block) -> bytes:
    """What precedes the bytes of a block in a `Kind.PIECE` message."""
    length = 1 + _PIECE_HEAD.size + block.length
    return struct.pack(">IB", length, Kind.PIECE) + _PIECE_HEAD.pack(block.piece, block.begin)


def parse_piece(body: bytes) -> tuple[Block, bytes]:
    """The block of a `Kind.PIECE` message, and its bytes; ``body`` has its type included."""
    if len(body) < 1 + _PIECE_HEAD.size:
        raise BadPeer(f"a block's message of {len(body)} bytes")
    piece, begin = _PIECE_HEAD.unpack_from(body, 1)
    data = body[1 + _PIECE_HEAD.size :]
    return Block(piece, begin, len(data)), data


class Pieces:
    """Which pieces the other end says it has."""

    def __init__(self) -> None:
        self._bits = b""
        self._more: set[int] = set()

    def __contains__(self, piece: int) -> bool:
        at = piece // 8
        return piece in self._more or (
            at < len(self._bits) and bool(self._bits[at] & 0x80 >> piece % 8)
        )

    def learn(self, body: bytes) -> None:
        """Take in a `Kind.BITFIELD` or `Kind.HAVE` message."""
        if body[0] == Kind.BITFIELD:
            self._bits = body[1:]
        elif body[0] == Kind.HAVE:
            if len(body) != 5:
                raise BadPeer(f"a HAVE of {len(body)} bytes")
            self._more.add(int.from_bytes(body[1:], "big"))
