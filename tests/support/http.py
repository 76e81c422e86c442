"""A plain HTTP client for tests: streams, hashes, times, and can dial from a network namespace."""

from __future__ import annotations

import ctypes
import hashlib
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

CLONE_NEWNET = 0x40000000
"""setns(2): the descriptor is a network namespace."""


class BadAnswer(AssertionError):
    """A status or a body that was not expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A body that was read to its end."""

    bytes: int
    seconds: float
    """From before the connection was dialled to the last byte."""
    first_byte_s: float
    """From before the connection was dialled to the first byte of the body."""
    sha256: str
    """64 hex digits."""
    status: int
    headers: Mapping[str, str]


@asynccontextmanager
async def client(
    *, namespace: str | None = None, unix_socket: Path | None = None
) -> AsyncIterator[aiohttp.ClientSession]:
    """A session without total timeout, redirects left to aiohttp, content never decompressed."""

    def dial(info: tuple[Any, ...]) -> socket.socket:
        with entered(namespace):
            made = socket.socket(info[0], info[1], info[2])
        made.setblocking(False)
        return made

    connector: aiohttp.BaseConnector = (
        aiohttp.UnixConnector(str(unix_socket))
        if unix_socket
        else aiohttp.TCPConnector(socket_factory=dial)
    )
    async with aiohttp.ClientSession(
        connector=connector,
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60),
        read_bufsize=1 << 20,
    ) as session:
        yield session


async def download(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    digest: str | None = None,
    namespace: str | None = None,
    authority: Path | None = None,
    status: int = 200,
) -> Download:
    """GET ``url`` and read it all; `BadAnswer` for another status or another digest.

    ``digest`` is ``sha256:`` and hex; the body is hashed as it comes and never held. ``authority``
    is a PEM file with the only certificate authority to trust.
    """
    started = time.monotonic()
    first: float | None = None
    count, hasher = 0, hashlib.sha256()
    tls = ssl.create_default_context(cafile=authority) if authority else True
    async with (
        client(namespace=namespace) as session,
        session.get(url, headers=headers, ssl=tls) as answer,
    ):
        if answer.status != status:
            raise BadAnswer(f"GET {url}: {answer.status}, not {status}: {await answer.text()}")
        async for chunk in answer.content.iter_any():
            first = first or time.monotonic()
            count += len(chunk)
            hasher.update(chunk)
    finished = time.monotonic()
    if digest is not None and f"sha256:{hasher.hexdigest()}" != digest:
        raise BadAnswer(f"GET {url}: {count} bytes of sha256:{hasher.hexdigest()}, not {digest}")
    return Download(
        bytes=count,
        seconds=finished - started,
        first_byte_s=(first or finished) - started,
        sha256=hasher.hexdigest(),
        status=answer.status,
        headers=answer.headers,
    )


async def get_json(url: str, *, namespace: str | None = None) -> Any:
    """The decoded JSON of a 200; `BadAnswer` otherwise."""
    async with client(namespace=namespace) as session, session.get(url) as answer:
        if answer.status != 200:
            raise BadAnswer(f"GET {url}: {answer.status}: {await answer.text()}")
        return await answer.json(content_type=None)


async def answers(url: str, *, namespace: str | None = None, status: int = 200) -> bool:
    """Whether a GET is answered with ``status`` now; refused connections are a no."""
    try:
        async with client(namespace=namespace) as session, session.get(url) as answer:
            return answer.status == status
    except (aiohttp.ClientError, TimeoutError):
        return False


@contextmanager
def entered(namespace: str | None) -> Iterator[None]:
    """Make the calling thread's new sockets belong to a named network namespace.

    A socket stays in the namespace that it was made in, so the block need only make it.
    """
    if namespace is None:
        yield
        return
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(f"/run/netns/{namespace}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _setns(home)
    finally:
        os.close(home)


def _setns(descriptor: int) -> None:
    """setns(2), which `os` has only from Python 3.12 on."""
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
