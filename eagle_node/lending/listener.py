"""A seed whose pieces lie anywhere in a file: what libtorrent's storage cannot read."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from typing import BinaryIO, Self

from eagle_node.base.digest import Digest
from eagle_node.blobs.lent import Changed, LentFile
from eagle_node.lending import obfuscation, wire
from eagle_node.lending.offers import Offers
from eagle_node.metrics.instruments import Metrics
from eagle_node.runtime.budget import ByteBudget
from eagle_node.runtime.sockets import bound_address, stop_accepting
from eagle_node.runtime.tasks import TaskSet
from eagle_node.runtime.threads import finish_in_thread
from eagle_node.swarm.peer_wire import (
    HANDSHAKE_LENGTH,
    PROTOCOL,
    BadPeer,
    Block,
    Kind,
    handshake,
    message,
    parse_handshake,
    piece_header,
)
from eagle_node.swarm.torrents import SegmentTorrent

log = logging.getLogger(__name__)

_HANDSHAKE_S = 6.0
_IDLE_S = 60.0
"""Silence after which a connection is closed; peers that want something send keep-alives.

Also how long hashes that a peer has asked for wait for it to read them.
"""
_MOST_CONNECTIONS = 1000
_TURNS = 5
"""Of the loop, until a connection that was being accepted at the end has been made and ended."""
_MOST_REQUESTS = 3000
"""Blocks that a peer may ask for ahead, as libtorrent takes here (`max_allowed_in_request_queue`).
"""
_BATCH = 256 << 10
"""Bytes read and sent at a time, of blocks that follow each other."""
_BUFFER = 1 << 20
"""Bytes that wait in a connection before reading goes on."""


class Listener:
    """Sends offered segments to peers that ask; an async context manager."""

    def __init__(
        self,
        offers: Offers,
        listener: socket.socket,
        *,
        upload: ByteBudget,
        slots: int,
        metrics: Metrics,
        altered: Callable[[Digest], None],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """``slots``: peers that may download at a time; ``altered`` is told of a file that is."""
        self._offers = offers
        self._listener = listener
        self._upload = upload
        self._slots = asyncio.Semaphore(slots)
        self._metrics = metrics
        self._altered = altered
        self._tls = tls
        self._peer_id = b"-EG0001-" + secrets.token_bytes(12)
        self._connections: dict[asyncio.StreamWriter, Digest | None] = {}
        self._ending = False
        self._tasks = TaskSet()
        self._stack = AsyncExitStack()
        self.port = bound_address(listener).port
        offers.on_withdraw.append(self._cut)

    async def __aenter__(self) -> Self:
        server = await asyncio.start_server(
            self._accepted,
            sock=self._listener,
            ssl=self._tls,
            ssl_handshake_timeout=_HANDSHAKE_S if self._tls else None,
        )
        self._stack.push_async_callback(self._hang_up)
        self._stack.push_async_callback(self._tasks.cancel)
        self._stack.push_async_callback(stop_accepting, server)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def _cut(self, digest: Digest) -> None:
        """Peers that are being sent a blob which is not offered any more ask others at once."""
        for writer, served in list(self._connections.items()):
            if served == digest:
                writer.transport.abort()

    async def _hang_up(self) -> None:
        """End connections whose tasks were cancelled before they began, or never made."""
        self._ending = True
        for writer in list(self._connections):
            writer.transport.abort()
        self._connections.clear()
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._ending or len(self._connections) >= _MOST_CONNECTIONS:
            writer.transport.abort()
            return
        self._connections[writer] = None
        self._tasks.spawn(self._serve(reader, writer), name="lending-peer")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            log.debug("a peer has gone: %s", error)
        except BadPeer as error:
            log.debug("a peer was sent away: %s", error)
        except Changed as error:
            log.debug("%s", error)
            if (digest := self._connections[writer]) is not None:
                self._altered(digest)
        finally:
            del self._connections[writer]
            writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_HANDSHAKE_S):
            hello = await self._hello(reader, writer)
        info_hash, fast = parse_handshake(hello)
        found = self._offers.find(info_hash)
        if found is None:
            raise BadPeer("it wants what is not offered")
        lent, torrent = found
        self._connections[writer] = lent.digest
        with await finish_in_thread(lent.open) as file:
            writer.transport.set_write_buffer_limits(high=_BUFFER)
            writer.write(handshake(info_hash, self._peer_id, fast=True))
            writer.write(wire.have_all(torrent.segment, fast=fast))
            await _Upload(self, reader, writer, lent, torrent, file).run()

    async def _hello(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """A peer's handshake, in plain text or behind an obfuscated opening."""
        first = await reader.readexactly(len(PROTOCOL))
        if first == PROTOCOL:
            return first + await reader.readexactly(HANDSHAKE_LENGTH - len(first))
        key = first + await reader.readexactly(obfuscation.KEY_LENGTH - len(first))
        return await obfuscation.answer(reader, writer, key, self._offers.undisguised)

    async def take(self, count: int) -> None:
        """Wait until ``count`` bytes may be sent, and count them."""
        await self._upload.take(count)
        self._metrics.peer_upload_bytes.inc(count)

    @property
    def slots(self) -> asyncio.Semaphore:
        """Held by peers that download."""
        return self._slots


class _Upload:
    """One peer that takes one segment."""

    def __init__(
        self,
        seed: Listener,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        lent: LentFile,
        torrent: SegmentTorrent,
        file: BinaryIO,
    ) -> None:
        self._seed = seed
        self._reader = reader
        self._writer = writer
        self._lent = lent
        self._torrent = torrent
        self._segment = torrent.segment
        self._file = file
        self._wanted: dict[Block, None] = {}
        self._interested = asyncio.Event()
        self._asked = asyncio.Event()

    async def run(self) -> None:
        """Until the peer leaves, or the file is not what it was."""
        sending = asyncio.create_task(self._send(), name="lending-upload")
        hearing = asyncio.create_task(self._hear(), name="lending-requests")
        try:
            await asyncio.wait([sending, hearing], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, hearing):
                task.cancel()
            results = await asyncio.gather(sending, hearing, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
                raise result

    async def _hear(self) -> None:
        incoming = wire.Incoming()
        while True:
            async with asyncio.timeout(_IDLE_S):
                data = await self._reader.read(64 << 10)
            if not data:
                return
            for heard in incoming.feed(data):
                await self._heard(heard)

    async def _heard(self, heard: wire.Message) -> None:
        match heard:
            case wire.Interested(yes=True):
                self._interested.set()
            case wire.Interested():
                self._interested.clear()
                self._wanted.clear()
                self._asked.set()
            case wire.Requested(block=block):
                wire.check_block(block, self._segment)
                if len(self._wanted) >= _MOST_REQUESTS:
                    raise BadPeer(f"more than {_MOST_REQUESTS} requests at a time")
                self._wanted[block] = None
                self._asked.set()
            case wire.Cancelled(block=block):
                self._wanted.pop(block, None)
            case wire.HashesRequested(question=question):
                self._writer.write(wire.hashes(question, self._torrent))
                async with asyncio.timeout(_IDLE_S):
                    await self._writer.drain()

    async def _send(self) -> None:
        while True:
            await self._interested.wait()
            async with self._seed.slots:
                self._writer.write(message(Kind.UNCHOKE))
                while self._interested.is_set():
                    await self._asked.wait()
                    self._asked.clear()
                    while self._wanted:
                        await self._send_blocks(self._next_blocks())

    def _next_blocks(self) -> list[Block]:
        """The next block, and those that follow it in the file and in the peer's wishes."""
        length = self._segment.piece_length
        blocks: list[Block] = []
        stop, total = -1, 0
        for block in self._wanted:
            if blocks and (block.offset(length) != stop or total + block.length > _BATCH):
                break
            blocks.append(block)
            stop = block.offset(length) + block.length
            total += block.length
        for block in blocks:
            del self._wanted[block]
        return blocks

    async def _send_blocks(self, blocks: list[Block]) -> None:
        start = blocks[0].offset(self._segment.piece_length)
        total = sum(block.length for block in blocks)
        await self._seed.take(total)
        data = memoryview(await finish_in_thread(self._read, self._segment.start + start, total))
        parts: list[bytes | memoryview] = []
        at = 0
        for block in blocks:
            parts += [piece_header(block), data[at : at + block.length]]
            at += block.length
        self._writer.writelines(parts)
        with suppress(ConnectionResetError):
            await self._writer.drain()

    def _read(self, offset: int, length: int) -> bytes:
        data = os.pread(self._file.fileno(), length, offset)
        self._lent.check(self._file)
        if len(data) != length:
            raise Changed(f"{self._lent.path} became shorter")
        return data
