"""A link to a server that can be broken in every way that networks and load balancers know."""

from __future__ import annotations

import asyncio
import enum
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_CHUNK = 64 << 10
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER that makes a close a reset (socket(7))."""


class Fault(enum.Enum):
    """What becomes of connections, old and new."""

    NONE = "none"
    """They are passed on."""
    SILENT = "silent"
    """They are accepted, and nothing comes back."""
    RESET = "reset"
    """They are reset, new ones at the first byte."""
    DOWN = "down"
    """They are ended, and nobody listens."""


class Link:
    """A TCP relay to a server on loopback."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._fault = Fault.NONE
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.connections = 0
        """Accepted so far."""
        self.delay_s = 0.0
        """Before each chunk that goes back."""

    @property
    def url(self) -> str:
        """Base URL of the server, through the link."""
        return f"http://127.0.0.1:{self.port}"

    async def set(self, fault: Fault) -> None:
        """From now on."""
        self._fault = fault
        self._changed.set()
        self._changed = asyncio.Event()
        if fault in (Fault.DOWN, Fault.RESET):
            for writer in list(self._writers):
                self._end(writer)
        if fault is Fault.DOWN and self._server is not None:
            self._server.close()
            self._server = None
        if fault is not Fault.DOWN and self._server is None:
            self._server = await asyncio.start_server(
                self._serve, "127.0.0.1", self.port, reuse_address=True
            )
            self.port = self._server.sockets[0].getsockname()[1]

    async def flap(self, period_s: float) -> None:
        """Up and down by turns, for ever."""
        while True:
            for fault in (Fault.DOWN, Fault.NONE):
                await self.set(fault)
                await asyncio.sleep(period_s)

    async def aclose(self) -> None:
        """End it all."""
        await self.set(Fault.DOWN)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            with suppress(ConnectionError):
                await self._relay(reader, writer)
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(_CHUNK)
        if self._fault is Fault.RESET:
            self._end(writer)
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers.add(back)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._copy(reader, back, first))
                group.create_task(self._copy(there, writer, delay_s=self.delay_s))
        except* ConnectionError:
            pass
        finally:
            self._writers.discard(back)
            back.close()

    async def _copy(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        data: bytes = b"",
        *,
        delay_s: float = 0.0,
    ) -> None:
        try:
            while data := data or await reader.read(_CHUNK):
                while self._fault is Fault.SILENT:
                    await self._changed.wait()
                await asyncio.sleep(delay_s)
                writer.write(data)
                await writer.drain()
                data = b""
        finally:
            writer.close()

    def _end(self, writer: asyncio.StreamWriter) -> None:
        if self._fault is Fault.RESET:
            raw: socket.socket | None = writer.get_extra_info("socket")
            with suppress(OSError):
                if raw is not None:
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        writer.transport.abort()


@asynccontextmanager
async def link(port: int) -> AsyncIterator[Link]:
    """A link to a port on loopback, whole at first."""
    made = Link(port)
    await made.set(Fault.NONE)
    try:
        yield made
    finally:
        await made.aclose()
