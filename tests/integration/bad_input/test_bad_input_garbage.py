"""Garbage on every port: the node goes on, and says at most a line about it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from pathlib import Path

from tests.support import http
from tests.support.node import Node, eagle_node
from tests.support.origin import scripted_origin
from tests.support.pulls import pull_blob, traffic

MIB = 1 << 20
PORTS = ("proxy", "api", "metainfo", "tracker", "swarm")


def _garbage() -> list[bytes]:
    """Noise, silence, protocols of others, and beginnings of the right ones."""
    noise = random.Random(7)
    return [
        b"",
        b"\x00" * 70_000,
        noise.randbytes(100_000),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + noise.randbytes(300),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + noise.randbytes(5_000),
        b"\x13BitTorrent protocol" + noise.randbytes(48) + b"\xff" * 5_000,
        b"GET /announce?info_hash=%ff&port=-1&compact=x HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v1/advert HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n{{{{{",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
        b"\r\n" * 10_000,
    ]


async def _throw(host: str, port: int, data: bytes) -> None:
    """Send it, and hang up once the other side has had a moment to answer."""
    reader, writer = await asyncio.open_connection(host, port)
    with contextlib.suppress(ConnectionError, TimeoutError):
        writer.write(data)
        await writer.drain()
        async with asyncio.timeout(0.3):
            await reader.read()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def _ports(node: Node) -> dict[str, int]:
    ports: dict[str, int] = json.loads((node.directory / "data" / "ports.json").read_text())
    return ports


async def test_garbage_harms_nobody(tmp_path: Path) -> None:
    """Afterwards the same process is ready, and both nodes pull through all five ports."""
    async with scripted_origin() as origin:
        digest = origin.add_random(3 * MIB)
        async with (
            eagle_node(tmp_path / "a", *origin.flags) as node,
            eagle_node(tmp_path / "b", *origin.flags, *node.pins) as child,
        ):
            ports = _ports(node)
            assert all(ports[name] for name in PORTS)
            await asyncio.gather(
                *(_throw(node.host, ports[name], data) for name in PORTS for data in _garbage())
            )
            assert node.process.status is None
            assert await http.answers(f"{node.api_url}/readyz")
            await pull_blob(child, digest)
            await pull_blob(node, digest)
            assert (await traffic(child))["origin_bytes"] == 0
            assert "Traceback" not in node.log()
            assert len(node.log().splitlines()) < 200


async def test_half_a_request_holds_up_nobody(tmp_path: Path) -> None:
    """Two hundred connections that never finish their request do not delay a client."""
    async with scripted_origin() as origin:
        digest = origin.add_random(MIB)
        async with eagle_node(tmp_path / "a", *origin.flags) as node:
            port = _ports(node)["proxy"]
            held = await asyncio.gather(
                *(asyncio.open_connection(node.host, port) for _ in range(200))
            )
            for _, writer in held:
                writer.write(b"GET /v2/ HTTP/1.1\r\nX: unfinished")
            async with asyncio.timeout(60):
                await pull_blob(node, digest)
            for _, writer in held:
                writer.close()
