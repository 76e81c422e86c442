"""TLS on a connection whose first bytes have been read already, and HTTP within."""

from __future__ import annotations

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from typing import cast

HANDSHAKE_S = 20
_SHUTDOWN_S = 30
"""For a slow client to take what is still to be sent, and to answer the end of TLS."""

HELLO = b"\x16"
"""First byte of TLS: a handshake record (RFC 8446 section 5.1)."""


class Hello:
    """Tries a client's hello, so that one that is refused is answered by an alert (sans IO).

    `asyncio` drops the alerts of handshakes that fail, and the client would see a bare reset.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def feed(self, received: bytes) -> bool:
        """Whether the hello is whole, and good; ``ssl.SSLError`` if it is refused."""
        self._incoming.write(received)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return self._outgoing.pending > 0
        return True

    def alert(self) -> bytes:
        """What a client that is refused is to be told."""
        return self._outgoing.read()


async def open_tls(
    transport: asyncio.Transport,
    context: ssl.SSLContext,
    first: bytes,
    make_http: Callable[[asyncio.Transport], asyncio.Protocol],
) -> None:
    """Shake hands as a server, then hand the inner connection to a protocol.

    ``first`` is what the client has sent, a hello that `Hello` found good; reading of ``transport``
    is paused. `OSError` (as ``ssl.SSLError`` is) when the handshake fails; the connection is then
    closed. ``start_tls`` cannot be given first bytes, hence `asyncio`'s protocol is used itself.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    tls = SSLProtocol(
        loop,
        _Inner(make_http),
        context,
        done,
        server_side=True,
        ssl_handshake_timeout=HANDSHAKE_S,
        ssl_shutdown_timeout=_SHUTDOWN_S,
    )
    transport.set_protocol(tls)
    tls.connection_made(transport)
    view = memoryview(first)
    while view:
        buffer = tls.get_buffer(len(view))
        count = min(len(buffer), len(view))
        buffer[:count] = view[:count]
        tls.buffer_updated(count)
        view = view[count:]
    transport.resume_reading()
    try:
        await done
    except asyncio.CancelledError:
        transport.abort()
        raise


class _Inner(asyncio.Protocol):
    """The inner connection until it is made."""

    def __init__(self, make_http: Callable[[asyncio.Transport], asyncio.Protocol]) -> None:
        self._make_http = make_http

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TLS stands: HTTP takes over."""
        inner = cast(asyncio.Transport, transport)
        http = self._make_http(inner)
        inner.set_protocol(http)
        http.connection_made(inner)
