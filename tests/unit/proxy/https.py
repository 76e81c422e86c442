"""Clients and servers of HTTPS through the proxy."""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from eagle_node.base.digest import digest_of
from eagle_node.trust.local_ca import LocalCa, create, mark_trusted, save
from tests.unit.blobs.builders import content
from tests.unit.proxy.rig import Rig

BLOB = content(600_000)


DIGEST = digest_of(BLOB)


ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def origin(request: web.Request) -> web.StreamResponse:
    """Says what it was asked, and with whose rights."""
    body = await request.read()
    return web.json_response(
        {
            "method": request.method,
            "path": request.raw_path,
            "sent": len(body),
            "authorization": request.headers.get("Authorization"),
        }
    )


def new_ca(*hosts: str) -> LocalCa:
    """A CA for ``hosts``."""
    return create(hosts, now=datetime.datetime.now(datetime.UTC))


def put(ca: LocalCa, path: Path) -> None:
    """Have a node open with ``ca``."""
    save(ca, path)
    mark_trusted(ca, path)


def trusting(ca: LocalCa) -> ssl.SSLContext:
    """What a client that trusts ``ca`` alone verifies with."""
    return ssl.create_default_context(cadata=ca.pem.decode())


@asynccontextmanager
async def listening(serve: Serve) -> AsyncIterator[str]:
    """``host:port`` of a TCP server."""
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def connecting(rig: Rig, target: str, *, early: bytes = b"") -> AsyncIterator[Streams]:
    """A connection to ``target`` through the proxy, on which ``early`` bytes came with the head."""
    reader, writer = await asyncio.open_connection(rig.address.host, rig.address.port)
    try:
        writer.write(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode() + early)
        async with asyncio.timeout(30):
            assert await reader.readuntil(b"\r\n\r\n") == ESTABLISHED
            yield reader, writer
    finally:
        writer.close()


async def refusal(rig: Rig, request: bytes) -> tuple[int, str]:
    """Status and text of the answer to a CONNECT that leads nowhere; both say the same."""
    reader, writer = await asyncio.open_connection(rig.address.host, rig.address.port)
    writer.write(request)
    async with asyncio.timeout(30):
        answer = (await reader.read()).decode()
    writer.close()
    head, _, text = answer.partition("\r\n\r\n")
    status_line = head.partition("\r\n")[0]
    assert status_line.partition(": ")[2] == text.strip()[:300]
    return int(status_line.split()[1]), text


def connect(target: str) -> bytes:
    """The head of a CONNECT."""
    return f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
