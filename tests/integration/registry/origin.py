"""A scripted origin: a real HTTP server that answers as a test tells it to, and keeps account."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from eagle_node.base.digest import digest_of
from eagle_node.config.tree import ProxyConfig, RegistryConfig
from eagle_node.metrics.instruments import Metrics
from eagle_node.registry.names import BlobRef, Repository
from eagle_node.registry.upstream import Upstream
from eagle_node.runtime.budget import ByteBudget
from eagle_node.runtime.clock import Clock, monotonic

NAME = "origin.test"
"""The registry name that scripted origins are configured under."""

CONTENT = bytes(range(256)) * 400
BLOB = BlobRef(Repository(NAME, "team/app"), digest_of(CONTENT))
USER_AGENT = "eagle-node/test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request as it arrived."""

    method: str
    target: str
    """Path and query, undecoded."""
    headers: Mapping[str, str]
    body: bytes

    @property
    def authorization(self) -> str | None:
        """The credentials that were shown."""
        return self.headers.get("Authorization")


class Origin:
    """A running server."""

    def __init__(self) -> None:
        self.url = ""
        """Base URL without a trailing slash."""
        self.seen: list[Seen] = []
        self.closing = asyncio.Event()
        """Set when the test is over: what handlers that stall wait for."""

    @property
    def host(self) -> str:
        """``host:port``."""
        return self.url.partition("//")[2]


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(
    handler: Handler, *, tls: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[Origin]:
    """Serve every request with ``handler`` on a loopback port, a free one unless it is given."""
    origin = Origin()

    async def handle(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        origin.seen.append(
            Seen(
                method=request.method,
                target=request.raw_path,
                headers=request.headers.copy(),
                body=body,
            )
        )
        return await handler(request)

    app = web.Application()
    app[ORIGIN] = origin
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=1.0, auto_decompress=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
        origin.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
        yield origin
    finally:
        origin.closing.set()
        await runner.cleanup()


ORIGIN: web.AppKey[Origin] = web.AppKey("origin", Origin)


def upstream(
    *registries: RegistryConfig,
    metrics: Metrics | None = None,
    timeout_s: float = 5.0,
    download: ByteBudget | None = None,
    config: ProxyConfig | None = None,
    clock: Clock = monotonic,
) -> Upstream:
    """A client of ``registries``, or of those in ``config``."""
    return Upstream(
        config or ProxyConfig(registries=registries),
        metrics=metrics or Metrics(),
        download=download or ByteBudget(0),
        timeout_s=timeout_s,
        user_agent=USER_AGENT,
        clock=clock,
    )


def at(origin: Origin) -> RegistryConfig:
    """The scripted origin under its name."""
    return RegistryConfig(name=NAME, url=origin.url)


async def honest(request: web.Request) -> web.StreamResponse:
    """The blob, with ranges, as RFC 9110 has it."""
    size = len(CONTENT)
    wanted = request.http_range
    if wanted.start is None and wanted.stop is None:
        return web.Response(body=CONTENT)
    part = CONTENT[wanted]
    first = wanted.start or 0
    return web.Response(
        status=206,
        body=part,
        headers={"Content-Range": f"bytes {first}-{first + len(part) - 1}/{size}"},
    )


async def read(client: Upstream, *, authorization: str | None = None, **interval: int) -> bytes:
    """The bytes of the blob that the origin gives."""
    async with client.open_blob(BLOB, authorization=authorization, **interval) as stream:
        return b"".join([chunk async for chunk in stream.chunks()])
