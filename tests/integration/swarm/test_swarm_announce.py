"""The loopback announce endpoint, with real sessions that announce to it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes, urlsplit

import aiohttp
import libtorrent as lt
import pytest

from eagle_node.base.ids import InfoHash, NodeId
from eagle_node.peer.announce import AnnounceEndpoint
from eagle_node.swarm.session import Swarm
from eagle_node.tracker.schema import PeerAddress
from tests.integration.swarm.rig import (
    LOOPBACK,
    Events,
    directory_for,
    rig,
    swarm_config,
    torrents_of,
)
from tests.unit.blobs.builders import content

HASH = InfoHash(bytes(range(236, 256)))


def peer(host: str, port: int) -> PeerAddress:
    return PeerAddress(node_id=NodeId("0" * 32), host=host, port=port)


@pytest.fixture
async def endpoint() -> AsyncIterator[AnnounceEndpoint]:
    async with AnnounceEndpoint() as running:
        yield running


async def announce(endpoint: AnnounceEndpoint, query: str) -> dict[bytes, Any]:
    """The decoded answer."""
    async with aiohttp.ClientSession() as client, client.get(f"{endpoint.url}?{query}") as answer:
        assert answer.status == 200
        decoded: Any = lt.bdecode(await answer.read())
    return dict(decoded)


def fixed(*peers: PeerAddress) -> Any:
    async def provide() -> Sequence[PeerAddress]:
        return peers

    return provide


async def test_a_session_that_announces_dials_the_answer_at_once(
    endpoint: AnnounceEndpoint, tmp_path: Path
) -> None:
    """Well within libtorrent's tick of a second, a blob that the plan's peer holds is here."""
    async with rig(tmp_path / "holder") as holder, Swarm(swarm_config()) as swarm:
        (torrent,) = await torrents_of(holder, content(200_000))
        endpoint.offer(torrent.info_hash, fixed(peer(LOOPBACK, holder.swarm.port)))
        events, took = Events(), []
        for attempt in range(3):
            begun = asyncio.get_running_loop().time()
            swarm.download(
                torrent,
                directory_for(tmp_path / str(attempt), torrent.digest),
                trackers=[endpoint.url],
                observer=events,
            )
            await events.finished([torrent.info_hash])
            took.append(asyncio.get_running_loop().time() - begun)
            swarm.remove(torrent.info_hash)
        assert min(took) < 0.7


async def test_answers_are_compact_for_both_families(endpoint: AnnounceEndpoint) -> None:
    """BEP 23 and BEP 7: six and eighteen bytes a peer; any byte may be in an info-hash."""
    endpoint.offer(HASH, fixed(peer("192.0.2.1", 258), peer("2001:db8::1", 65535)))
    answer = await announce(endpoint, f"port=1&info_hash={quote_from_bytes(HASH)}&event=started")
    assert answer[b"peers"] == bytes([192, 0, 2, 1, 1, 2])
    assert answer[b"peers6"] == bytes.fromhex("20010db8000000000000000000000001ffff")
    assert answer[b"interval"] > 0


@pytest.mark.parametrize(
    "query",
    [
        "",
        "info_hash=",
        "info_hash=%zz&port=x",
        f"info_hash={quote_from_bytes(HASH)}&event=stopped",
        f"info_hash={quote_from_bytes(HASH)}&event=completed",
        f"info_hash={quote_from_bytes(bytes(20))}",
    ],
)
async def test_others_get_an_empty_answer(endpoint: AnnounceEndpoint, query: str) -> None:
    """Unknown torrents, malformed queries, and sessions that need nobody."""
    endpoint.offer(HASH, fixed(peer("192.0.2.1", 1)))
    assert (await announce(endpoint, query))[b"peers"] == b""


async def test_an_announce_waits_for_the_plan(endpoint: AnnounceEndpoint) -> None:
    """It comes a moment after the torrent was added."""
    asked, planned = asyncio.Event(), asyncio.Event()

    async def provide() -> Sequence[PeerAddress]:
        asked.set()
        await planned.wait()
        return [peer("192.0.2.1", 1)]

    endpoint.offer(HASH, provide)
    answer = asyncio.create_task(announce(endpoint, f"info_hash={quote_from_bytes(HASH)}"))
    await asked.wait()
    assert not answer.done()
    planned.set()
    assert len((await answer)[b"peers"]) == 6


async def test_a_plan_that_does_not_come_is_given_up_for_the_next_tier(
    endpoint: AnnounceEndpoint,
) -> None:
    """Within the patience of libtorrent, with an empty answer."""

    async def provide() -> Sequence[PeerAddress]:
        await asyncio.Event().wait()
        return []

    endpoint.offer(HASH, provide)
    async with asyncio.timeout(10):
        assert (await announce(endpoint, f"info_hash={quote_from_bytes(HASH)}"))[b"peers"] == b""


async def test_a_withdrawn_torrent_is_unknown(endpoint: AnnounceEndpoint) -> None:
    """Withdrawing twice is harmless."""
    endpoint.offer(HASH, fixed(peer("192.0.2.1", 1)))
    endpoint.withdraw(HASH)
    endpoint.withdraw(HASH)
    assert (await announce(endpoint, f"info_hash={quote_from_bytes(HASH)}"))[b"peers"] == b""


@pytest.mark.parametrize("turns", range(6))
async def test_no_connection_outlives_the_endpoint(turns: int) -> None:
    """One that is being accepted as it closes is ended like those before it."""
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as clients:
        async with AnnounceEndpoint() as endpoint:
            port = urlsplit(endpoint.url).port
            callers = [
                clients.enter_context(socket.create_connection((LOOPBACK, port))) for _ in range(5)
            ]
            for _ in range(turns):
                await asyncio.sleep(0)
        for caller in callers:
            caller.setblocking(False)
            async with asyncio.timeout(30):
                with contextlib.suppress(ConnectionResetError):
                    assert await loop.sock_recv(caller, 1) == b""
