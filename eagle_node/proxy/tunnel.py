"""Two connections joined: raw bytes both ways, with their ends, their resets and their pace."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Final, cast

from eagle_node.metrics.instruments import Metrics

IDLE_S = 900.0
"""A tunnel in which nothing has moved for so long is closed: longer than the clients' own idle
limits (Go's transports: 90 s), and than a registry's longest thought about an upload."""
_BUFFER = 256 << 10
"""Bytes that may wait for a slow reader before the writer is stopped."""
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: closing then sends a reset (socket(7))."""


class Tunnel:
    """Joins a client's connection to a server's; `ended` is done once both are closed."""

    def __init__(self, metrics: Metrics, *, idle_s: float = IDLE_S) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle_s = idle_s
        self._last_moved = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self.client = End(self, metrics, "from_client")
        self.server = End(self, metrics, "from_server")
        self.client.other, self.server.other = self.server, self.client

    async def join(self, client: asyncio.Transport, server: socket.socket, first: bytes) -> None:
        """Begin, with ``first`` bytes that the client has sent already; reads the client again.

        ``server`` is connected; reading of ``client`` is paused.
        """
        client.set_protocol(self.client)
        self.client.connection_made(client)
        self._watch()
        await self._loop.create_connection(lambda: self.server, sock=server)
        if self.client.transport is None:
            self.server.reset()
            return
        if first:
            self.client.data_received(first)
        if not self.server.is_full:
            client.resume_reading()

    def abort(self) -> None:
        """Close both connections at once."""
        for end in (self.client, self.server):
            end.reset()

    def moved(self) -> None:
        """Bytes have come."""
        self._last_moved = self._loop.time()

    def check_ended(self) -> None:
        """A connection is closed, or has sent its last byte."""
        ends = (self.client, self.server)
        if all(end.has_finished for end in ends):
            for end in ends:
                end.close()
        if all(end.transport is None for end in ends) and not self.ended.done():
            self.ended.set_result(None)
            if self._timer is not None:
                self._timer.cancel()

    def _watch(self) -> None:
        left = self._last_moved + self._idle_s - self._loop.time()
        if left <= 0:
            self.abort()
        else:
            self._timer = self._loop.call_later(left, self._watch)


class End(asyncio.Protocol):
    """One end: what it receives, the other sends, no faster than that can."""

    other: End

    def __init__(self, tunnel: Tunnel, metrics: Metrics, direction: str) -> None:
        self._tunnel = tunnel
        self._bytes = metrics.tunnel_bytes.labels(direction)
        self.transport: asyncio.Transport | None = None
        self.is_full = False
        """Whether it has more to send than it should."""
        self.has_finished = False
        """Whether its peer will send no more."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The server is reached, or the client's connection is handed over."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=_BUFFER)

    def data_received(self, data: bytes) -> None:
        """Passed on."""
        self._tunnel.moved()
        self._bytes.inc(len(data))
        if self.other.transport is not None:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        """The peer has sent its last byte, and may still listen."""
        if self.has_finished:
            return True
        self.has_finished = True
        if self.other.transport is not None and self.other.transport.can_write_eof():
            self.other.transport.write_eof()
        self._tunnel.check_ended()
        return True

    def pause_writing(self) -> None:
        """The peer reads slowly: let the other one wait."""
        self.is_full = True
        if self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """The peer has caught up."""
        self.is_full = False
        if self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """Closed; what was cut off here is cut off there, so that no end looks clean."""
        cut_off = error is not None or not self.has_finished
        self.transport = None
        self.has_finished = True
        if cut_off:
            self.other.reset()
        else:
            self.other.close()
        self._tunnel.check_ended()

    def close(self) -> None:
        """Close once all is sent."""
        if self.transport is not None:
            self.transport.close()

    def reset(self) -> None:
        """Close at once, by a reset."""
        if self.transport is not None:
            reset(self.transport)


def reset(transport: asyncio.Transport) -> None:
    """Abort a TCP connection such that its peer sees a reset and not an end."""
    made = transport.get_extra_info("socket")
    if made is not None and made.fileno() >= 0:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()
