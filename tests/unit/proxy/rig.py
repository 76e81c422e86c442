"""A proxy on loopback: a real cache behind an opener from memory, a real HTTP origin beside it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from eagle_node.base.errors import EagleError, Unavailable
from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.cache import Cache
from eagle_node.blobs.reader import BlobReader
from eagle_node.config.tree import CacheConfig, ProxyConfig
from eagle_node.metainfo.file_messages import LookReply
from eagle_node.metrics.instruments import Metrics
from eagle_node.proxy.blobs import BlobHandler
from eagle_node.proxy.looks import LookHandler
from eagle_node.proxy.manifests import ManifestHandler
from eagle_node.proxy.passing import Passing
from eagle_node.proxy.rules import Rules
from eagle_node.proxy.server import Proxy
from eagle_node.registry.access import Access, AccessMemory
from eagle_node.registry.file_ref import FileRef
from eagle_node.registry.file_store import FileStore
from eagle_node.registry.manifest_store import ManifestStore
from eagle_node.registry.manifests import Manifests
from eagle_node.registry.names import BlobRef
from eagle_node.runtime.sockets import Address, bound_address, listen_tcp
from eagle_node.trust.local_ca_file import LocalCaFile
from tests.integration.registry.origin import NAME, Handler, Origin, at, serving, upstream


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedPassed:
    """A blob of ``size`` bytes of which ``data`` comes from elsewhere, then the error if any."""

    size: int
    data: bytes
    error: EagleError | None = None

    async def chunks(self, run: ByteRange) -> AsyncGenerator[bytes, None]:
        """In chunks that no range agrees with."""
        wanted = self.data[run.start : run.stop]
        for start in range(0, len(wanted), 1000):
            yield wanted[start : start + 1000]
        if self.error is not None:
            raise self.error


@dataclass(slots=True, kw_only=True)
class CacheOpener:
    """A `BlobOpener` that knows the blobs of a cache, and fails when it is told to."""

    cache: Cache
    error: EagleError | None = None
    size_of: int | None = None
    passed: ScriptedPassed | None = None
    asked: list[tuple[str | None, bool]] = field(default_factory=list)
    was_asked: asyncio.Event = field(default_factory=asyncio.Event)
    may_open: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    async def open(self, blob: BlobRef, authorization: str | None, *, whole: bool) -> BlobReader:
        """A reader of a cached or arriving blob."""
        self.asked.append((authorization, whole))
        self.was_asked.set()
        try:
            await self.may_open.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        if self.error is not None:
            raise self.error
        reader = self.cache.open(blob.digest)
        if reader is None:
            raise Unavailable(f"{blob} is not here")
        return reader

    async def beside(self, blob: BlobRef, authorization: str | None) -> ScriptedPassed | None:
        """What a test has set."""
        return self.passed

    async def size(self, blob: BlobRef, authorization: str | None) -> int | None:
        """The size that a test has set."""
        if self.error is not None:
            raise self.error
        return self.size_of


class ScriptedLooker:
    """Tells of every file what a test has set, in order; an error is raised."""

    def __init__(self) -> None:
        self.says: list[LookReply | EagleError] = []

    async def look(
        self, file: FileRef, authorization: str | None
    ) -> AsyncGenerator[LookReply, None]:
        """The script."""
        for each in self.says:
            if isinstance(each, EagleError):
                raise each
            yield each


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """A running proxy."""

    address: Address
    cache: Cache
    opener: CacheOpener
    looker: ScriptedLooker
    origin: Origin
    metrics: Metrics
    client: aiohttp.ClientSession
    ca_file: Path
    """Where the local CA may be."""

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://{self.address}"

    def blob(self, digest: str) -> str:
        """URL of a blob of the scripted origin, as a mirror's client asks for it."""
        return f"{self.url}/v2/team/app/blobs/{digest}?ns={NAME}"

    def manifest(self, reference: str) -> str:
        """URL of a manifest likewise."""
        return f"{self.url}/v2/team/app/manifests/{reference}?ns={NAME}"


@asynccontextmanager
async def proxying(
    directory: Path, origin_handler: Handler, *, config: ProxyConfig | None = None
) -> AsyncIterator[Rig]:
    """A proxy before an origin that answers as ``origin_handler`` does."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        origin = await enter(serving(origin_handler))
        config = config or ProxyConfig(registries=(at(origin),))
        client = await enter(upstream(config=config))
        metrics = Metrics()
        cache = await enter(Cache(CacheConfig(size=0, reserve=0), directory / "cache", metrics))
        opener = CacheOpener(cache=cache)
        opener.may_open.set()
        memory = AccessMemory(60.0, 10.0, 600.0)
        ca_file = directory / "local-ca.pem"
        looker = ScriptedLooker()
        files = await enter(FileStore(None))
        listener = listen_tcp(Address("127.0.0.1", 0), flag="--proxy-listen")
        await enter(
            Proxy(
                config,
                listener,
                blobs=BlobHandler(opener, Access(client, memory), metrics),
                manifests=ManifestHandler(
                    Manifests(client, await enter(ManifestStore(directory / "m.sqlite")), memory),
                    metrics,
                ),
                passing=Passing(client, metrics),
                rules=Rules(config),
                look=LookHandler(looker, files),
                metrics=metrics,
                ca=LocalCaFile(ca_file),
            )
        )
        yield Rig(
            address=bound_address(listener),
            cache=cache,
            opener=opener,
            looker=looker,
            origin=origin,
            metrics=metrics,
            client=await enter(aiohttp.ClientSession(auto_decompress=False)),
            ca_file=ca_file,
        )


async def raw(rig: Rig, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer to bytes that no HTTP client would send."""
    reader, writer = await asyncio.open_connection(rig.address.host, rig.address.port)
    try:
        writer.write(request)
        async with asyncio.timeout(60):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
            body = await reader.readexactly(int(headers.get("content-length", "0")))
        return int(lines[0].split()[1]), headers, body
    finally:
        writer.close()


def oci_code(body: bytes) -> str:
    """The code of the only error in an OCI error document."""
    document: Any = json.loads(body)
    (error,) = document["errors"]
    assert error["message"]
    return str(error["code"])
