"""Connections with other nodes: one TCP listener, persistent connections, one way to send.

Either end may have dialled; whichever connection is there is used by both. A message that cannot be
sent now is dropped: the protocol above repeats itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Self

from eagle_node.base.errors import StartError
from eagle_node.base.ids import NodeId
from eagle_node.consensus.messages import Hello, Message
from eagle_node.consensus.wire import (
    HEADER,
    PROTOCOL,
    Malformed,
    frame,
    frame_length,
    parse_hello,
    parse_message,
)
from eagle_node.runtime.clock import Clock
from eagle_node.runtime.sockets import Address
from eagle_node.runtime.tasks import TaskSet
from eagle_node.trust.certificates import NodeIdentity

log = logging.getLogger(__name__)

_HELLO_S = 5.0
"""For TLS and the hello, on a loaded host."""
_DIAL_S = 2.0
_REDIAL_S = 0.3
"""After a failed dial."""
_UNACKNOWLEDGED_MS = 3000
"""TCP_USER_TIMEOUT (RFC 5482): a cut connection is given up, as retransmissions would take ever
longer to find out that the network is back."""
_MOST_WAITING = 64
"""Messages kept for a connection that is being made."""
_MOST_BUFFERED = 4 << 20
"""Bytes for a peer that does not read."""
_MOST_CONNECTIONS = 4096


class _Connection:
    """An open connection whose other end has said who it is."""

    def __init__(self, node: NodeId, writer: asyncio.StreamWriter) -> None:
        self.node = node
        self._writer = writer

    def send(self, message: Message) -> None:
        transport = self._writer.transport
        if not transport.is_closing() and transport.get_write_buffer_size() < _MOST_BUFFERED:
            self._writer.write(frame(message))


class Sessions:
    """All connections of a node; ``received`` and ``lost`` are called in the event loop."""

    def __init__(
        self,
        *,
        node_id: NodeId,
        cluster: str,
        listener: socket.socket,
        trust: NodeIdentity | None,
        clock: Clock,
        received: Callable[[NodeId, Message], None],
        lost: Callable[[NodeId], None],
    ) -> None:
        self._hello = Hello(protocol=PROTOCOL, name=cluster, node=node_id)
        self._listener = listener
        self._server_tls = trust.ssl_context(server=True) if trust else None
        self._client_tls = trust.ssl_context(server=False) if trust else None
        self._clock = clock
        self._received = received
        self._lost = lost
        self._tasks = TaskSet()
        self._server: asyncio.Server | None = None
        self._connections: dict[NodeId, list[_Connection]] = {}
        self._dialling: dict[NodeId, list[Message]] = {}
        self._failed_at: dict[NodeId, float] = {}
        self._complaints: set[str] = set()
        self._open = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._accepted,
            sock=self._listener,
            ssl=self._server_tls,
            ssl_handshake_timeout=_HELLO_S if self._server_tls else None,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        await self._tasks.cancel()

    def send(self, node: NodeId, address: Address | None, message: Message) -> None:
        """Send over a connection with ``node``, or one that is made to ``address``."""
        if connections := self._connections.get(node):
            connections[-1].send(message)
            return
        if address is None:
            return
        if (waiting := self._dialling.get(node)) is not None:
            waiting[:] = [*waiting, message][-_MOST_WAITING:]
        elif self._clock() - self._failed_at.get(node, float("-inf")) > _REDIAL_S:
            self._dialling[node] = [message]
            self._tasks.spawn(self._dial(node, address), name=f"raft dial {address}")

    async def flush(self) -> None:
        """Wait a moment for what has been sent to leave."""
        for connections in list(self._connections.values()):
            for connection in connections:
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(_REDIAL_S):
                        await connection._writer.drain()  # noqa: SLF001

    async def _dial(self, node: NodeId, address: Address) -> None:
        try:
            async with asyncio.timeout(_DIAL_S):
                reader, writer = await asyncio.open_connection(
                    address.host, address.port, ssl=self._client_tls
                )
        except (OSError, TimeoutError, ssl.SSLError):
            # Which members are alive is the gossip's to say.
            self._dialling.pop(node, None)
            self._failed_at[node] = self._clock()
            return
        await self._run(reader, writer, expected=node)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A connection from another node; ends with it."""
        if self._open >= _MOST_CONNECTIONS:
            writer.close()
            return
        self._tasks.spawn(self._run(reader, writer, expected=None), name="raft connection")

    async def _run(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        expected: NodeId | None,
    ) -> None:
        self._open += 1
        try:
            connection = await self._greet(reader, writer)
            if connection is not None:
                await self._serve(connection, reader, expected)
            elif expected is not None:
                self._failed_at[expected] = self._clock()
        finally:
            self._open -= 1
            if expected is not None:
                self._dialling.pop(expected, None)
            writer.transport.abort()

    async def _greet(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> _Connection | None:
        """Exchange hellos; None when the other end is none of ours."""
        peer = writer.get_extra_info("peername")
        where = str(Address(peer[0], peer[1])) if peer else "a closed connection"
        try:
            _tune(writer)
            writer.write(frame(self._hello))
            async with asyncio.timeout(_HELLO_S):
                hello = parse_hello(await _read_frame(reader))
        except (OSError, EOFError, TimeoutError):
            return None
        except Malformed as error:
            self._complain(f"closed {where} on the raft port: {error}", "garbage")
            return None
        if hello.name != self._hello.name:
            text = f"refused {where}: it is in cluster {hello.name!r}, not {self._hello.name!r}"
            self._complain(f"{text} (--cluster)", f"name {hello.name}")
            return None
        if hello.protocol != PROTOCOL:
            text = f"refused {where}: it speaks raft protocol {hello.protocol}, not {PROTOCOL}"
            self._complain(f"{text}; run the same version everywhere", f"p {hello.protocol}")
            return None
        if hello.node == self._hello.node:
            text = f"refused {where}: it has this node's id; is its data directory a copy?"
            self._complain(text, "twin")
            return None
        return _Connection(hello.node, writer)

    async def _serve(
        self, connection: _Connection, reader: asyncio.StreamReader, expected: NodeId | None
    ) -> None:
        node = connection.node
        self._connections.setdefault(node, []).append(connection)
        if expected is not None:
            for message in self._dialling.pop(expected, ()):
                if node == expected:
                    connection.send(message)
            if node != expected:
                self._failed_at[expected] = self._clock()
        try:
            while True:
                self._received(node, parse_message(await _read_frame(reader)))
        except (OSError, EOFError):
            pass
        except Malformed as error:
            self._complain(f"closed the connection with node {node}: {error}", f"bad {node}")
        finally:
            rest = [each for each in self._connections[node] if each is not connection]
            self._connections[node] = rest
            if not rest:
                del self._connections[node]
                self._lost(node)

    def _complain(self, text: str, kind: str) -> None:
        """Say each kind of trouble once."""
        if kind not in self._complaints and len(self._complaints) < _MOST_WAITING:
            self._complaints.add(kind)
            log.warning("%s", text)


async def _read_frame(reader: asyncio.StreamReader) -> bytes:
    length = frame_length(await reader.readexactly(HEADER))
    return await reader.readexactly(length)


def _tune(writer: asyncio.StreamWriter) -> None:
    """Small messages at once, and no endless retransmission."""
    connection = writer.get_extra_info("socket")
    if connection is None:
        raise StartError("a connection without a socket")
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MS)
