"""Debian's docker-registry (distribution 2.8) as the origin, with an account of what it sent."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ctypes
import random
import re
import secrets
import socket
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.support import http
from tests.support.process import Process, running
from tests.support.waiting import until

CONFIG = """\
version: 0.1
log: {{accesslog: {{disabled: false}}, level: warn}}
storage:
  filesystem: {{rootdirectory: {root}}}
  delete: {{enabled: true}}
  redirect: {{disable: true}}
http:
  addr: {address}
  secret: tests
{tls}{auth}{notify}"""

ACCESS = re.compile(
    r'^\S+ \S+ (?P<user>\S+) \[[^]]*\] "(?P<method>\S+) (?P<path>[^ ?]*)\S* HTTP/[\d.]+" '
    r'(?P<status>\d{3}) (?P<bytes>\d+) "(?P<referer>[^"]*)" "(?P<agent>[^"]*)"',
    re.MULTILINE,
)
"""A line of Apache's combined log, as distribution writes them: after the answer is complete."""

_QUIET_S = 0.1
"""Seconds after which a registry has written of what it answered."""

FIXED_PORTS = range(10_000, 32_768)
"""Below Linux's ``net.ipv4.ip_local_port_range``."""

BCRYPT_SALT = b"$2b$04$abcdefghijklmnopqrstuu"
"""The cheapest cost that bcrypt knows, and a salt: these passwords guard nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Name and password of a registry's only user."""

    user: str
    password: str

    @property
    def header(self) -> str:
        """The value of an ``Authorization`` header (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files of a server, and of the authority that its clients trust."""

    certificate: Path
    key: Path
    authority: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """Whom a registry tells of pushes and pulls."""

    url: str
    authorization: str
    """The header to send; empty: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One answered request."""

    method: str
    path: str
    status: int
    bytes: int
    """Bytes of the body that were sent."""
    agent: str
    """The ``User-Agent``."""


class Registry:
    """A running registry."""

    def __init__(
        self,
        process: Process,
        *,
        address: str,
        namespace: str | None,
        auth: Credentials | None,
        tls: TlsFiles | None,
    ) -> None:
        self.process = process
        self.address = address
        """``host:port``: also the registry's name in image references."""
        self.namespace = namespace
        self.auth = auth
        self.tls = tls

    @property
    def url(self) -> str:
        """Base URL, without a trailing slash."""
        return f"{'https' if self.tls else 'http'}://{self.address}"

    async def accesses(self) -> list[Access]:
        """Every request that was answered before this call.

        A marker is asked for first and waited for, since lines are written after the last byte;
        then a moment in which none comes: another connection's line may follow the marker's.
        """
        marker = f"/v2/marker-{secrets.token_hex(8)}"
        await _responds(self.url + marker, self.namespace)
        await until(lambda: self._has_logged(marker), what="the registry's access log")
        before, log = "", self.process.log()
        while log != before:
            await asyncio.sleep(_QUIET_S)
            before, log = log, self.process.log()
        return [line for line in self._lines() if not line.path.startswith("/v2/marker-")]

    async def blob_requests(self) -> Mapping[str, int]:
        """GETs of blobs that were answered with content, by digest."""
        counts: Counter[str] = Counter()
        for access in await self._blob_gets():
            counts[_digest(access)] += 1
        return counts

    async def blob_bytes(self) -> Mapping[str, int]:
        """Bytes of blobs that were sent, by digest."""
        counts: Counter[str] = Counter()
        for access in await self._blob_gets():
            counts[_digest(access)] += access.bytes
        return counts

    async def _blob_gets(self) -> list[Access]:
        return [
            access
            for access in await self.accesses()
            if access.method == "GET" and "/blobs/sha256:" in access.path and access.status < 300
        ]

    async def _has_logged(self, path: str) -> bool:
        return path in self.process.log()

    def _lines(self) -> list[Access]:
        return [
            Access(
                method=match["method"],
                path=match["path"],
                status=int(match["status"]),
                bytes=int(match["bytes"]),
                agent=match["agent"],
            )
            for match in ACCESS.finditer(self.process.log())
        ]


@asynccontextmanager
async def docker_registry(
    directory: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    auth: Credentials | None = None,
    tls: TlsFiles | None = None,
    notify: Notify | None = None,
    namespace: str | None = None,
) -> AsyncIterator[Registry]:
    """Run a registry whose blobs live in ``directory``; port 0 picks a free one.

    With the same ``directory`` and ``port`` again it is the same registry after a restart; its
    access log goes on. Basic authentication asks for ``auth`` on every request.
    """
    address = f"{host}:{port or free_port(host, namespace)}"
    config = _write_config(directory, address, auth, tls, notify)

    async def is_up() -> bool:
        return await _responds(f"{'https' if tls else 'http'}://{address}/v2/", namespace)

    async with running(
        ["docker-registry", "serve", str(config)],
        log=directory / "registry.log",
        namespace=namespace,
        ready=is_up,
        grace=1.0,
    ) as process:
        yield Registry(process, address=address, namespace=namespace, auth=auth, tls=tls)


def free_port(host: str = "127.0.0.1", namespace: str | None = None) -> int:
    """A TCP port that nobody listens on at this moment, for servers that cannot report theirs.

    It is none that the kernel gives to connections and to servers on any port meanwhile.
    """
    while True:
        with http.entered(namespace):
            probe = socket.socket()
        with probe, contextlib.suppress(OSError):
            port = random.choice(FIXED_PORTS)
            probe.bind((host, port))
            return port


async def _responds(url: str, namespace: str | None) -> bool:
    try:
        async with http.client(namespace=namespace) as session, session.get(url, ssl=False):
            return True
    except aiohttp.ClientError:
        return False


def _write_config(
    directory: Path,
    address: str,
    auth: Credentials | None,
    tls: TlsFiles | None,
    notify: Notify | None,
) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    config = directory / "config.yml"
    config.write_text(
        CONFIG.format(
            root=directory / "blobs",
            address=address,
            tls=f"  tls: {{certificate: {tls.certificate}, key: {tls.key}}}\n" if tls else "",
            auth=_htpasswd(directory, auth) if auth else "",
            notify=_notifications(notify) if notify else "",
        )
    )
    return config


def _htpasswd(directory: Path, auth: Credentials) -> str:
    """The configuration of basic authentication; distribution takes bcrypt hashes only."""
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype = ctypes.c_char_p
    hashed = crypt(auth.password.encode(), BCRYPT_SALT).decode()
    path = directory / "htpasswd"
    path.write_text(f"{auth.user}:{hashed}\n")
    return f"auth: {{htpasswd: {{realm: tests, path: {path}}}}}\n"


def _notifications(notify: Notify) -> str:
    """The configuration of one endpoint."""
    headers = f", headers: {{Authorization: ['{notify.authorization}']}}"
    return (
        f"notifications: {{endpoints: [{{name: node, url: '{notify.url}', timeout: 3s, "
        f"threshold: 3, backoff: 1s{headers if notify.authorization else ''}}}]}}\n"
    )


def _digest(access: Access) -> str:
    return access.path.rpartition("/")[2]
