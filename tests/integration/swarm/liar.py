"""A BitTorrent peer that has everything and sends zeros (BEP 3, plain text, no extensions)."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress

from eagle_node.swarm.torrents import SegmentTorrent

_UNCHOKE, _BITFIELD, _REQUEST, _PIECE = 1, 5, 6, 7
_V2 = bytes([0, 0, 0, 0, 0, 0, 0, 0x10])
"""Reserved bits of a peer that speaks v2 (BEP 52)."""
_PAUSE_S = 0.2


@asynccontextmanager
async def lie(torrent: SegmentTorrent, host: str, port: int) -> AsyncIterator[None]:
    """Be connected to a session as a peer that answers each request with zeros."""
    lying = asyncio.create_task(_insist(torrent, host, port))
    try:
        yield
    finally:
        lying.cancel()
        await asyncio.wait([lying])


async def _insist(torrent: SegmentTorrent, host: str, port: int) -> None:
    """Connect again and again: a session may hang up on who comes before its torrent is ready."""
    while True:
        with suppress(ConnectionError):
            reader, writer = await asyncio.open_connection(host, port)
            with closing(writer):
                await _talk(torrent, reader, writer)
        await asyncio.sleep(_PAUSE_S)


async def _talk(
    torrent: SegmentTorrent, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    writer.write(b"\x13BitTorrent protocol" + _V2 + torrent.info_hash + b"-LIAR00-123456789012")
    pieces = -(-torrent.segment.length // torrent.segment.piece_length)
    bits = ((1 << pieces) - 1) << (-pieces % 8)
    writer.write(_message(_BITFIELD, bits.to_bytes((pieces + 7) // 8, "big")))
    writer.write(_message(_UNCHOKE, b""))
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        await reader.readexactly(68)
        while True:
            body = await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))
            if body[:1] == bytes([_REQUEST]):
                index, begin, length = struct.unpack(">III", body[1:13])
                writer.write(_message(_PIECE, struct.pack(">II", index, begin) + bytes(length)))


def _message(kind: int, payload: bytes) -> bytes:
    return struct.pack(">IB", 1 + len(payload), kind) + payload
