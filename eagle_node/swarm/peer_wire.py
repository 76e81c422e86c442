"""The messages of BitTorrent's peer protocol that a reader of blocks needs (BEP 3; no IO)."""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

from eagle_node.base.ids import InfoHash

HANDSHAKE = 68
"""Bytes of a handshake."""
LONGEST = 1 << 20
"""Bytes of a message: a bitfield of a large torrent is far below."""
_PROTOCOL = b"\x13BitTorrent protocol"
_V2 = bytes([0, 0, 0, 0, 0, 0, 0, 0x10])
"""Reserved bits of one that speaks v2 (BEP 52), and no extension."""
_PIECE_HEAD = struct.Struct(">II")
_REQUEST = struct.Struct(">IBIII")


class Kind(enum.IntEnum):
    """Messages that matter here; others are passed over."""

    CHOKE = 0
    UNCHOKE = 1
    INTERESTED = 2
    HAVE = 4
    BITFIELD = 5
    REQUEST = 6
    PIECE = 7


INTERESTED = struct.pack(">IB", 1, Kind.INTERESTED)


class BadPeer(ValueError):
    """A peer sent something that is no part of the protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Bytes of a piece."""

    piece: int
    begin: int
    data: bytes


def handshake(info_hash: InfoHash, peer_id: bytes) -> bytes:
    """What both ends send first."""
    return _PROTOCOL + _V2 + info_hash + peer_id


def check_handshake(data: bytes, info_hash: InfoHash) -> None:
    """`BadPeer` unless the other end speaks BitTorrent about the same torrent."""
    if not data.startswith(_PROTOCOL) or data[28:48] != info_hash:
        raise BadPeer("no handshake for this torrent")


def request(piece: int, begin: int, length: int) -> bytes:
    """Ask for a block."""
    return _REQUEST.pack(13, Kind.REQUEST, piece, begin, length)


def parse_block(body: bytes) -> Block:
    """The block in the body of a `Kind.PIECE` message, its type included."""
    if len(body) < 1 + _PIECE_HEAD.size:
        raise BadPeer(f"a block's message of {len(body)} bytes")
    piece, begin = _PIECE_HEAD.unpack_from(body, 1)
    return Block(piece=piece, begin=begin, data=body[1 + _PIECE_HEAD.size :])


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
