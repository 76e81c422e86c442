"""Blocks of segments from other nodes' swarm listeners: less than a piece, when no more is wanted.

libtorrent fetches whole pieces, and verifies no less. So this speaks the peer protocol itself, as
one more peer of the torrent, and leaves it to the caller, who knows what blocks hash to, to verify.
Holders are unmodified, bound by their upload limits, and with a cluster key by SSL torrents.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import socket
import ssl
import sys
from collections import deque
from collections.abc import AsyncGenerator
from typing import Self

from eagle_node.base.errors import Unavailable
from eagle_node.base.ids import InfoHash
from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.demand import BLOCK
from eagle_node.blobs.segments import Segment
from eagle_node.runtime.sockets import Address, in_words
from eagle_node.swarm.peer_wire import (
    HANDSHAKE_LENGTH,
    LONGEST,
    BadPeer,
    Block,
    Kind,
    Pieces,
    handshake,
    message,
    parse_handshake,
    parse_piece,
)

CONNECT_S = 2.0
"""Until a holder in the same network has let us in."""
_TAKEN_UP_S = 0.05
"""Until a holder that hung up is dialled once more: libtorrent lets nobody in while it takes up a
torrent."""
_IN_FLIGHT = 32
"""Blocks asked for ahead of the one that is waited for: 512 KiB, a fast link's round trip."""
_IDLE_S = 15.0
"""How long a connection waits for the next range; libtorrent's own patience is 30 s."""
_BUFFER = 1 << 20
_RECEIVED = slice(128, 136)
"""Of ``struct tcp_info`` (linux/tcp.h)."""


class Link:
    """A connection to a holder of one torrent, which has let us in."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._pieces = Pieces()
        self.let_in = False
        """Whether requests are answered."""

    async def open(self, info_hash: InfoHash) -> None:
        """Shake hands, and wait to be let in; raises `BadPeer` or what reading raises."""
        self._writer.write(handshake(info_hash, b"-EN0100-" + secrets.token_bytes(12)))
        self._writer.write(message(Kind.INTERESTED))
        theirs, _ = parse_handshake(await self._reader.readexactly(HANDSHAKE_LENGTH))
        if theirs != info_hash:
            raise BadPeer("no handshake for this torrent")
        while not self.let_in:
            await self._message()

    async def blocks(
        self, segment: Segment, run: ByteRange, silence_s: float
    ) -> AsyncGenerator[bytes, None]:
        """The blocks that hold ``run``, bytes of ``segment`` from its start, in their order."""
        begins = deque(range(run.start // BLOCK * BLOCK, run.stop, BLOCK))
        asked: deque[Block] = deque()
        came: dict[Block, bytes] = {}
        while begins or asked:
            while begins and len(asked) < _IN_FLIGHT:
                asked.append(self._ask(segment, begins.popleft()))
            while asked[0] not in came:
                async with asyncio.timeout(silence_s):
                    block, data = await self._piece()
                if block not in asked:
                    raise BadPeer("it sends a block that was not asked for")
                came[block] = data
            yield came.pop(asked.popleft())

    def close(self) -> None:
        """Hang up."""
        self._writer.close()

    @property
    def received(self) -> int:
        """Bytes that the kernel has received, read or not (``tcpi_bytes_received``)."""
        wire = self._writer.get_extra_info("socket")
        info = wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RECEIVED.stop)
        return int.from_bytes(info[_RECEIVED], sys.byteorder)

    @property
    def is_open(self) -> bool:
        """Whether the other end has not hung up, as far as is known."""
        return self.let_in and not self._reader.at_eof() and not self._writer.is_closing()

    def _ask(self, segment: Segment, begin: int) -> Block:
        piece, offset = divmod(begin, segment.piece_length)
        if piece not in self._pieces:
            raise BadPeer(f"it has no piece {piece}")
        block = Block(piece, offset, min(BLOCK, segment.length - begin))
        self._writer.write(message(Kind.REQUEST, block.pack()))
        return block

    async def _piece(self) -> tuple[Block, bytes]:
        while True:
            body = await self._message()
            if not self.let_in:
                raise BadPeer("it lets us in no longer")
            if body[:1] == bytes([Kind.PIECE]):
                return parse_piece(body)

    async def _message(self) -> bytes:
        length = int.from_bytes(await self._reader.readexactly(4), "big")
        if length > LONGEST:
            raise BadPeer(f"a message of {length} bytes")
        body = await self._reader.readexactly(length)
        kind = body[0] if body else None
        if kind in (Kind.CHOKE, Kind.UNCHOKE):
            self.let_in = kind == Kind.UNCHOKE
        elif kind in (Kind.HAVE, Kind.BITFIELD):
            self._pieces.learn(body)
        return body


_Key = tuple[str, int, InfoHash]


class BlockClient:
    """Connections to holders, kept for the next range; an async context manager.

    ``tls`` is what nodes with a cluster key speak; None: clear text.
    """

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self._tls = tls
        self._idle: dict[_Key, list[tuple[Link, asyncio.TimerHandle]]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for key in list(self._idle):
            while (link := self._take(key)) is not None:
                link.close()

    async def blocks(
        self,
        holder: Address,
        info_hash: InfoHash,
        segment: Segment,
        run: ByteRange,
        *,
        silence_s: float,
    ) -> AsyncGenerator[bytes, None]:
        """The blocks that hold ``run`` (of the segment, from its start), unverified, in order.

        `Unavailable` when the holder cannot be reached, has not got them, or is silent.
        """
        key = (holder.host, holder.port, info_hash)
        try:
            while True:
                kept = self._take(key)
                link, began = kept or await self._connect(key), False
                try:
                    async for data in link.blocks(segment, run, silence_s):
                        began = True
                        yield data
                except (ConnectionError, asyncio.IncompleteReadError):
                    link.close()
                    if kept is None or began:
                        raise
                    continue  # it was hung up upon while it waited
                except BaseException:
                    link.close()
                    raise
                self._keep(key, link)
                return
        except (OSError, TimeoutError, asyncio.IncompleteReadError, BadPeer) as error:
            raise Unavailable(f"node {holder} sends no blocks: {_reason(error)}") from error

    async def connect(self, holder: Address, info_hash: InfoHash) -> Link:
        """A connection for the caller alone, who closes it; `Unavailable` when there is none."""
        try:
            return await self._connect((holder.host, holder.port, info_hash))
        except (OSError, TimeoutError, asyncio.IncompleteReadError, BadPeer) as error:
            raise Unavailable(f"node {holder} does not let us in: {_reason(error)}") from error

    async def _connect(self, key: _Key) -> Link:
        async with asyncio.timeout(CONNECT_S):
            try:
                return await self._dial(*key)
            except (ConnectionResetError, asyncio.IncompleteReadError):
                await asyncio.sleep(_TAKEN_UP_S)
                return await self._dial(*key)

    async def _dial(self, host: str, port: int, info_hash: InfoHash) -> Link:
        reader, writer = await asyncio.open_connection(
            host,
            port,
            limit=_BUFFER,
            ssl=self._tls,
            # SSL torrents are told apart by the name asked for (libtorrent's manual).
            server_hostname=info_hash.hex() if self._tls is not None else None,
        )
        link = Link(reader, writer)
        try:
            await link.open(info_hash)
        except BaseException:
            link.close()
            raise
        return link

    def _take(self, key: _Key) -> Link | None:
        waiting = self._idle.get(key, [])
        while waiting:
            link, timer = waiting.pop()
            timer.cancel()
            if not waiting:
                del self._idle[key]
            if link.is_open:
                return link
            link.close()
        return None

    def _keep(self, key: _Key, link: Link) -> None:
        timer = asyncio.get_running_loop().call_later(_IDLE_S, self._drop, key, link)
        self._idle.setdefault(key, []).append((link, timer))

    def _drop(self, key: _Key, link: Link) -> None:
        left = [each for each in self._idle.pop(key, []) if each[0] is not link]
        if left:
            self._idle[key] = left
        link.close()


class BlockHashes:
    """SHA-256 of each block of a run that begins with one."""

    def __init__(self) -> None:
        self._hashes: list[bytes] = []
        self._rest = b""

    def add(self, data: bytes) -> None:
        """The next bytes."""
        data = self._rest + data
        whole = len(data) // BLOCK * BLOCK
        blocks = (data[at : at + BLOCK] for at in range(0, whole, BLOCK))
        self._hashes += [hashlib.sha256(block).digest() for block in blocks]
        self._rest = data[whole:]

    def finish(self) -> tuple[bytes, ...]:
        """All of them, a short block at the end included."""
        if self._rest:
            self._hashes.append(hashlib.sha256(self._rest).digest())
        return tuple(self._hashes)


def _reason(error: Exception) -> str:
    match error:
        case asyncio.IncompleteReadError():
            return "it hung up"
        case BadPeer():
            return str(error)
    return in_words(error)
