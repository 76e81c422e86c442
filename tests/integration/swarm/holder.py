"""A listener that claims to have torrents, and does with requests what it is told to."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from eagle_node.runtime.sockets import Address

_UNCHOKE, _BITFIELD, _REQUEST, _PIECE = 1, 5, 6, 7

Answer = Callable[[int, int, int], bytes | None]
"""By piece, offset and length: the block; None: nothing."""


@dataclass(slots=True)
class Claimant:
    """A running one."""

    answer: Answer
    pieces: int
    """Of each torrent."""
    address: Address = field(default_factory=lambda: Address("127.0.0.1", 0))
    hang_ups: int = 0
    """Peers that are hung up on first, as libtorrent does while it takes up a torrent."""
    asked: int = 0
    """Requests so far."""

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """With one peer, about whatever torrent it names."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            shaken = await reader.readexactly(68)
            if self.hang_ups:
                self.hang_ups -= 1
                writer.close()
                return
            writer.write(shaken[:48] + b"-CLAIM0-123456789012")
            bits = ((1 << self.pieces) - 1) << (-self.pieces % 8)
            writer.write(_message(_BITFIELD, bits.to_bytes((self.pieces + 7) // 8, "big")))
            writer.write(_message(_UNCHOKE, b""))
            while True:
                body = await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))
                if body[:1] == bytes([_REQUEST]):
                    self.asked += 1
                    piece, begin, length = struct.unpack(">III", body[1:13])
                    block = self.answer(piece, begin, length)
                    if block is not None:
                        writer.write(_message(_PIECE, struct.pack(">II", piece, begin) + block))
        writer.close()


@asynccontextmanager
async def claiming(
    answer: Answer, *, pieces: int = 64, hang_ups: int = 0
) -> AsyncIterator[Claimant]:
    """Listen on loopback."""
    claimant = Claimant(answer, pieces, hang_ups=hang_ups)
    server = await asyncio.start_server(claimant.talk, "127.0.0.1", 0)
    claimant.address = Address(*server.sockets[0].getsockname()[:2])
    async with server:
        yield claimant


def _message(kind: int, payload: bytes) -> bytes:
    return struct.pack(">IB", 1 + len(payload), kind) + payload
