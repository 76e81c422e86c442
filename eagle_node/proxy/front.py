"""The first bytes of a client's connection: a ``CONNECT``, or HTTP for aiohttp.

aiohttp reads HTTP and cannot let go of a connection; so this protocol looks at the first eight
bytes and, unless they are ``CONNECT`` and a blank, hands the connection over as it is. From then on
it costs a mirror's client nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from eagle_node.runtime.sockets import is_loopback

FIRST_BYTES_S = 60.0
"""For a client to send its first request's head."""
_LINGER_S = 2.0
"""For a refused client to read why, and to hang up."""
_CONNECT = b"CONNECT "
_END = b"\r\n\r\n"
_LONGEST_HEAD = 16 << 10

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class Front(asyncio.Protocol):
    """One client's connection until it is clear what it is."""

    def __init__(
        self,
        make_http: Callable[[], asyncio.Protocol],
        on_connect: Callable[[Front, bytes], None],
        waiting: set[Front],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._make_http = make_http
        self._on_connect: Callable[[Front, bytes], None] | None = on_connect
        self._waiting = waiting
        self._received = b""
        self._more: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport
        """The client's connection."""
        self.is_lost = False
        """Whether it is closed."""

    @property
    def is_local(self) -> bool:
        """Whether the client is on this host."""
        peer = self.transport.get_extra_info("peername")
        return bool(peer) and is_loopback(str(peer[0]).removeprefix("::ffff:"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        self.transport = cast(asyncio.Transport, transport)
        self._waiting.add(self)
        self._timer = self._loop.call_later(FIRST_BYTES_S, self.transport.abort)

    def data_received(self, data: bytes) -> None:
        """Look at them; what follows a ``CONNECT``'s head is kept for `take`."""
        if self._on_connect is None:
            self._received += data
            self.transport.pause_reading()
            self._wake()
            return
        self._received += data
        if not self._received.startswith(_CONNECT[: len(self._received)]):
            self._hand_over()
            return
        end = self._received.find(_END)
        if end < 0 and len(self._received) <= _LONGEST_HEAD:
            return
        head = self._received[: end + len(_END)] if end >= 0 else self._received
        self._received = self._received[len(head) :]
        on_connect, self._on_connect = self._on_connect, None
        self.transport.pause_reading()
        self._settle()
        on_connect(self, head)

    def eof_received(self) -> None:
        """Who ends before it has said anything wants nothing; the connection is closed."""
        self.is_lost = True
        self._wake()

    def connection_lost(self, _: Exception | None) -> None:
        """Gone."""
        self.is_lost = True
        self._settle()
        self._wake()

    async def first_bytes(self, timeout_s: float) -> bytes:
        """What comes after the head; nothing when that takes too long, or the client has left.

        Reading is paused afterwards.
        """
        if not self._received and not self.is_lost:
            self._more = self._loop.create_future()
            self.transport.resume_reading()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._more
            except TimeoutError:
                self.transport.pause_reading()
            finally:
                self._more = None
        return self.take()

    def take(self) -> bytes:
        """What has come after the head."""
        taken, self._received = self._received, b""
        return taken

    def refuse(self, status: int, phrase: str, reason: str) -> None:
        """Answer and `leave`.

        The reason stands in the status line, too: Go's clients show nothing else of an answer to
        their ``CONNECT``.
        """
        text = "".join(each if " " <= each <= "~" else "?" for each in reason)
        body = f"{text}\n"
        head = (
            f"HTTP/1.1 {status} {phrase}: {text[:300]}\r\nContent-Type: text/plain\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        self.leave((head + body).encode("ascii"))

    def leave(self, last: bytes) -> None:
        """Send the ``last`` bytes, and let go of the connection once the client has."""
        if self.is_lost:
            return
        self.transport.set_protocol(_Leaving(self.transport))
        self.transport.write(last)
        try:
            self.transport.write_eof()
        except OSError:  # the client has left; while nothing is read that goes unseen
            self.transport.abort()
            return
        self.transport.resume_reading()

    def _hand_over(self) -> None:
        self._settle()
        http = self._make_http()
        self.transport.set_protocol(http)
        http.connection_made(self.transport)
        http.data_received(self.take())

    def _settle(self) -> None:
        self._waiting.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)


class _Leaving(asyncio.Protocol):
    """Reads nothing any more; closes when the client does, or soon.

    Closing at once would send a reset after bytes that were not read, and with it take back the
    answer.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_LINGER_S, transport.abort)

    def connection_lost(self, _: Exception | None) -> None:
        self._timer.cancel()
