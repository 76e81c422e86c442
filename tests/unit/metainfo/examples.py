"""A seeder's handler for the tests, and what is asked of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TypeVar

import grpc.aio

from eagle_node.base.digest import digest_of
from eagle_node.base.errors import EagleError
from eagle_node.base.ids import InfoHash, NodeId
from eagle_node.metainfo.file_messages import FoundEvent, LookReply, LookRequest
from eagle_node.metainfo.file_service import FileHandler, add_file_service
from eagle_node.metainfo.hash_messages import HashesReply
from eagle_node.metainfo.messages import (
    BeatEvent,
    FetchReply,
    FetchRequest,
    InlineEvent,
    LayoutEvent,
    PrefetchBlob,
    PrefetchRequest,
    ReadRequest,
    SegmentEvent,
)
from eagle_node.metainfo.registry_messages import (
    CheckReply,
    CheckRequest,
    ManifestReply,
    ManifestRequest,
)
from eagle_node.metainfo.registry_service import RegistryHandler, add_registry_service
from eagle_node.metainfo.service import SERVER_OPTIONS, MetaInfoHandler, add_metainfo_service
from eagle_node.runtime.sockets import Address

A = TypeVar("A")

REQUEST = FetchRequest(
    registry="registry.example:5000",
    repository="library/eagle",
    digest=digest_of(b"blob"),
    authorization="Bearer secret",
    node_id=NodeId("0" * 32),
    layout_version=1,
    request_id="r-1",
    first=(3, 4),
    only_first=True,
)
PREFETCH_REQUEST = PrefetchRequest(
    registry="registry.example:5000",
    repository="library/eagle",
    blobs=(
        PrefetchBlob(digest=digest_of(b"config"), size=6),
        PrefetchBlob(digest=digest_of(b"layer"), size=1 << 33),
    ),
    authorization="Bearer secret",
    node_id=NodeId("0" * 32),
    request_id="r-2",
)
MANIFEST_REQUEST = ManifestRequest(
    registry="registry.example:5000",
    repository="library/eagle",
    reference="latest",
    head=True,
    accept=("a/b", "c/d"),
    authorization="Bearer secret",
    fresh=True,
    node_id=NodeId("0" * 32),
    request_id="r-3",
)
MANIFEST_REPLY = ManifestReply(
    digest=digest_of(b"{}"),
    media_type="a/b",
    size=2,
    body=b"{}",
    age_ms=1 << 33,
    stale=True,
    limited=True,
)
CHECK_REQUEST = CheckRequest(
    registry="registry.example:5000",
    repository="library/eagle",
    digest=digest_of(b"blob"),
    authorization="Bearer secret",
    node_id=NodeId("0" * 32),
    request_id="r-4",
)
CHECK_REPLY = CheckReply(size=1 << 33, age_ms=7, stale=True, limited=True)
READ_REQUEST = ReadRequest(
    registry="registry.example:5000",
    repository="library/eagle",
    digest=digest_of(b"blob"),
    authorization="Bearer secret",
    node_id=NodeId("0" * 32),
    request_id="r-5",
    path="/elsewhere?x=1",
    start=1 << 33,
    stop=(1 << 33) + 5,
)
HASHES_REPLY = HashesReply(
    hashes=(bytes(range(32)), bytes(32)),
    info_hash=InfoHash(bytes(range(20))),
    node_id=NodeId("5" * 32),
)
LOOK_REQUEST = LookRequest(
    registry="files.example:8000",
    path="/a.bin?x=1",
    authorization="Bearer secret",
    node_id=NodeId("0" * 32),
    request_id="r-6",
)
FOUND = FoundEvent(digest=digest_of(b"file"), size=1 << 33)
BYTES = (b"ab", b"cde")
"""What is answered to it."""
REPLIES: tuple[FetchReply, ...] = (
    LayoutEvent(size=1 << 33, version=1, swarm_port=61007, age_ms=1 << 33),
    BeatEvent(received=0),
    SegmentEvent(index=0, root=b"d4:infodee"),
    InlineEvent(data=b"", age_ms=7),
)


class Handler:
    """Sends ``replies``, then raises ``error`` if there is one, or hangs if it is told to."""

    def __init__(
        self,
        *replies: FetchReply,
        error: EagleError | None = None,
        hang: bool = False,
        metainfo: bytes = b"d4:infodee",
    ) -> None:
        self._replies = replies
        self._error = error
        self._hang = hang
        self._metainfo = metainfo
        self.requests: list[FetchRequest] = []
        self.prefetched: list[PrefetchRequest] = []
        self.reads: list[ReadRequest] = []
        self.urls: list[str] = []
        self.cancelled = asyncio.Event()

    async def get_metainfo(self, url: str) -> bytes:
        self.urls.append(url)
        if self._error is not None:
            raise self._error
        return self._metainfo

    async def hashes(self, request: ReadRequest) -> HashesReply:
        self.reads.append(request)
        if self._error is not None:
            raise self._error
        return HASHES_REPLY

    async def prefetch(self, request: PrefetchRequest) -> None:
        self.prefetched.append(request)
        if self._error is not None:
            raise self._error

    async def fetch(self, request: FetchRequest) -> AsyncIterator[FetchReply]:
        self.requests.append(request)
        async for reply in self._answer(self._replies):
            yield reply

    async def read(self, request: ReadRequest) -> AsyncIterator[bytes]:
        self.reads.append(request)
        async for data in self._answer(BYTES):
            yield data

    async def _answer(self, replies: Iterable[A]) -> AsyncIterator[A]:
        try:
            for reply in replies:
                yield reply
            if self._error is not None:
                raise self._error
            if self._hang:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


class Desk:
    """Answers questions for registries, then fails or hangs if it is told to."""

    def __init__(self, *, error: EagleError | None = None, hang: bool = False) -> None:
        self._error = error
        self._hang = hang
        self.asked: list[ManifestRequest | CheckRequest] = []

    async def manifest(self, request: ManifestRequest) -> ManifestReply:
        await self._take(request)
        return MANIFEST_REPLY

    async def check(self, request: CheckRequest) -> CheckReply:
        await self._take(request)
        return CHECK_REPLY

    async def _take(self, request: ManifestRequest | CheckRequest) -> None:
        self.asked.append(request)
        if self._hang:
            await asyncio.Event().wait()
        if self._error is not None:
            raise self._error


class Lookers:
    """Answers what files are, then fails if it is told to."""

    def __init__(self, *, error: EagleError | None = None) -> None:
        self._error = error
        self.asked: list[LookRequest] = []

    async def look(self, request: LookRequest) -> AsyncGenerator[LookReply, None]:
        self.asked.append(request)
        yield BeatEvent(received=0)
        if self._error is not None:
            raise self._error
        yield FOUND


@asynccontextmanager
async def serving(
    handler: MetaInfoHandler,
    *,
    desk: RegistryHandler | None = None,
    files: FileHandler | None = None,
    port: int = 0,
    credentials: grpc.ServerCredentials | None = None,
) -> AsyncIterator[Address]:
    """A gRPC server on loopback with the handler behind it."""
    server = grpc.aio.server(options=SERVER_OPTIONS)
    add_metainfo_service(server, handler)
    if desk is not None:
        add_registry_service(server, desk)
    if files is not None:
        add_file_service(server, files)
    where = f"127.0.0.1:{port}"
    if credentials is None:
        bound = server.add_insecure_port(where)
    else:
        bound = server.add_secure_port(where, credentials)
    await server.start()
    try:
        yield Address("127.0.0.1", bound)
    finally:
        await server.stop(None)
