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
from aiohttp import web

from eagle_node.base.ids import InfoHash
from eagle_node.runtime.sockets import Address, bound_address, listen_tcp
from eagle_node.tracker.schema import PeerAddress

Provider = Callable[[], Awaitable[Sequence[PeerAddress]]]
"""Gives the peers to dial for one torrent, when they are known."""

_INTERVAL_S = 1800
_PATIENCE_S = 2.0
"""How long an announce may wait for the plan; libtorrent then asks the next tier."""


class AnnounceEndpoint:
    """Answers the announces of this node's own libtorrent; an async context manager.

    It listens on ``host``, the swarm's own address: libtorrent binds an announce to the device of
    the listener that it speaks for, and cannot reach loopback from there.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._host = host
        self._providers: dict[InfoHash, Provider] = {}
        self._runner: web.AppRunner | None = None
        self.url = ""
        """Announce URL; known once entered."""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/announce", self._announce)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        listener = listen_tcp(Address(self._host, 0), flag="--advertise")
        self.url = f"http://{bound_address(listener)}/announce"
        await web.SockSite(self._runner, listener).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def offer(self, info_hash: InfoHash, provider: Provider) -> None:
        """Answer announces of this torrent with ``provider``'s peers."""
        self._providers[info_hash] = provider

    def withdraw(self, info_hash: InfoHash) -> None:
        """Forget a torrent."""
        self._providers.pop(info_hash, None)

    async def _announce(self, request: web.Request) -> web.Response:
        if request.remote != self._host:
            raise web.HTTPForbidden(text="this endpoint is for the node itself")
        query = _raw_query(request.rel_url.raw_query_string)
        provider = self._providers.get(InfoHash(query.get("info_hash", b"")))
        peers: Sequence[PeerAddress] = ()
        if provider is not None and query.get("event") not in (b"stopped", b"completed"):
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    peers = await provider()
            except TimeoutError:
                peers = ()
        return web.Response(body=_answer(peers))


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
