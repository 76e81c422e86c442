"""The node's own announce endpoint: it tells libtorrent, at once, whom the plan names.

A peer that an announce answer names is dialled immediately, one that is handed over by a call waits
for libtorrent's next one-second tick. So the node is its own first tracker (BEP 3, compact answers
by BEP 23 and BEP 7), and the cluster's trackers follow as further tiers.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Self
from urllib.parse import unquote_to_bytes

import libtorrent as lt

from eagle_node.base.ids import InfoHash
from eagle_node.runtime.sockets import Address, bound_address, listen_tcp, stop_accepting
from eagle_node.runtime.tasks import TaskSet
from eagle_node.tracker.schema import PeerAddress

Provider = Callable[[], Awaitable[Sequence[PeerAddress]]]
"""Gives the peers to dial for one torrent, when they are known."""

_INTERVAL_S = 1800
_PATH = "/announce"
_OK = "200 OK"
_LONGEST_HEAD = 16 << 10
"""Bytes of a request line and its headers; libtorrent's have some hundred."""
_REQUEST_S = 10.0
"""Until a connection is given up, whatever it waits for."""
_TURNS = 5
"""Of the loop, until connections that were aborted have ended."""
_PATIENCE_S = 2.0
"""How long an announce may wait for the plan; libtorrent then asks the next tier."""


class AnnounceEndpoint:
    """Answers the announces of this node's own libtorrent; an async context manager.

    It listens on ``host``, the swarm's own address: libtorrent binds an announce to the device of
    the listener that it speaks for, and cannot reach loopback from there. Each torrent announces
    over connections of its own, hence the barest HTTP.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._host = host
        self._providers: dict[InfoHash, Provider] = {}
        self._connections: set[asyncio.Transport] = set()
        self._tasks = TaskSet()
        self._server: asyncio.Server | None = None
        self.url = ""
        """Announce URL; known once entered."""

    async def __aenter__(self) -> Self:
        listener = listen_tcp(Address(self._host, 0), flag="--advertise")
        self.url = f"http://{bound_address(listener)}{_PATH}"
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), sock=listener)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            await stop_accepting(self._server)
        await self._tasks.cancel()
        for transport in list(self._connections):
            transport.abort()
        for _turn in range(_TURNS):
            await asyncio.sleep(0)

    def offer(self, info_hash: InfoHash, provider: Provider) -> None:
        """Answer announces of this torrent with ``provider``'s peers."""
        self._providers[info_hash] = provider

    def withdraw(self, info_hash: InfoHash) -> None:
        """Forget a torrent."""
        self._providers.pop(info_hash, None)

    def connected(self, transport: asyncio.Transport) -> None:
        """A session may ask now."""
        self._connections.add(transport)

    def disconnected(self, transport: asyncio.Transport) -> None:
        """It has got its answer, or has gone."""
        self._connections.discard(transport)

    def asked(self, transport: asyncio.Transport, target: str) -> None:
        """Answer a GET of ``target``, at once or when there is a plan, and hang up."""
        path, _, query_string = target.partition("?")
        if transport.get_extra_info("peername")[0] != self._host or path != _PATH:
            _reply(transport, "403 Forbidden", b"")
            return
        query = _raw_query(query_string)
        provider = self._providers.get(InfoHash(query.get("info_hash", b"")))
        if provider is None or query.get("event") in (b"stopped", b"completed"):
            _reply(transport, _OK, _answer(()))
        else:
            self._tasks.spawn(_answer_with(provider, transport), name="announce")


class _Connection(asyncio.Protocol):
    """One request from a session."""

    def __init__(self, endpoint: AnnounceEndpoint) -> None:
        self._endpoint = endpoint
        self._head = b""
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._deadline = asyncio.get_running_loop().call_later(_REQUEST_S, transport.abort)
        self._endpoint.connected(transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._head += data
        if b"\r\n\r\n" in self._head:
            self._transport.pause_reading()
            method, _, rest = self._head.decode("latin-1").partition(" ")
            target = rest.partition(" ")[0]
            if method == "GET":
                self._endpoint.asked(self._transport, target)
            else:
                _reply(self._transport, "405 Method Not Allowed", b"")
        elif len(self._head) > _LONGEST_HEAD:
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        assert self._transport is not None
        assert self._deadline is not None
        self._deadline.cancel()
        self._endpoint.disconnected(self._transport)


async def _answer_with(provider: Provider, transport: asyncio.Transport) -> None:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            peers = await provider()
    except TimeoutError:
        peers = ()
    _reply(transport, _OK, _answer(peers))


def _reply(transport: asyncio.Transport, status: str, body: bytes) -> None:
    if not transport.is_closing():
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        transport.write(head.encode() + body)
        transport.close()


def _raw_query(query: str) -> dict[str, bytes]:
    """Values as bytes: ``info_hash`` is binary and no text in any encoding."""
    pairs = (pair.partition("=") for pair in query.split("&"))
    return {name: unquote_to_bytes(value) for name, _, value in pairs}


def _answer(peers: Sequence[PeerAddress]) -> bytes:
    compact = {4: b"", 6: b""}
    for peer in peers:
        address = ipaddress.ip_address(peer.host)
        compact[address.version] += address.packed + peer.port.to_bytes(2, "big")
    answer: Any = {b"interval": _INTERVAL_S, b"peers": compact[4], b"peers6": compact[6]}
    return bytes(lt.bencode(answer))
