"""What a seeder answers to peers: the torrents of a blob's segments, as they become ready."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from yarl import URL

from eagle_node.base.digest import Digest
from eagle_node.base.errors import Denied, Unavailable
from eagle_node.blobs.cache import Cache
from eagle_node.blobs.segments import LAYOUT_VERSION
from eagle_node.metainfo.messages import (
    BeatEvent,
    FetchReply,
    FetchRequest,
    InlineEvent,
    LayoutEvent,
    SegmentEvent,
)
from eagle_node.registry.access import Access
from eagle_node.registry.names import (
    BadName,
    BlobRef,
    Repository,
    parse_registry,
    parse_repository_name,
)
from eagle_node.registry.route import BlobRoute, parse_route
from eagle_node.runtime.budget import ByteBudget
from eagle_node.runtime.context import request_id
from eagle_node.swarm.torrents import SegmentTorrent
from eagle_node.swarm.transfers import INLINE_LIMIT, Source, Transfer, Transfers

log = logging.getLogger(__name__)

_BEAT_S = 1.0


class SeederService:
    """The handler behind the metainfo service."""

    def __init__(
        self,
        *,
        cache: Cache,
        transfers: Transfers,
        access: Access,
        origin: Callable[[BlobRef, str | None], Source],
        registry_at: Callable[[URL], str],
        announce_urls: Callable[[], Sequence[str]],
        report: Callable[[], Awaitable[None]],
        upload: ByteBudget,
        swarm_port: int,
    ) -> None:
        self._cache = cache
        self._transfers = transfers
        self._access = access
        self._origin = origin
        self._registry_at = registry_at
        self._announce_urls = announce_urls
        self._report = report
        self._upload = upload
        self._swarm_port = swarm_port

    async def get_metainfo(self, url: str) -> bytes:
        """The torrent of a whole blob, given its URL at the registry, once it is whole here."""
        blob = self._blob_at(url)
        transfer = await self._start(blob, None)
        if transfer is not None:
            await transfer.wait_finished()
        return await self._transfers.whole_torrent(blob.digest, self._announce_urls())

    async def fetch(self, request: FetchRequest) -> AsyncIterator[FetchReply]:
        """Layout, then each segment as it becomes ready; small blobs whole."""
        request_id.set(request.request_id)
        blob = _blob_of(request)
        authorization = request.authorization or None
        if request.layout_version != LAYOUT_VERSION:
            raise Unavailable(
                f"layout version {request.layout_version} is not spoken here, {LAYOUT_VERSION} is"
            )
        log.debug("node %s wants %s", request.node_id, blob)
        while True:
            joined = self._known(blob.digest)
            transfer = await self._start(blob, authorization)
            if transfer is None:
                replies = self._committed(blob.digest, request.first)
            else:
                replies = self._arriving(transfer, request.first)
            try:
                async for reply in replies:
                    yield reply
                return
            except Denied as error:
                if not joined:
                    raise
                log.info("%s was refused to whoever asked for it first: %s", blob, error)

    def _known(self, digest: Digest) -> bool:
        """Whether the blob is here or on its way, in the name of somebody who may read it."""
        return digest in self._cache or self._transfers.get(digest) is not None

    async def _start(self, blob: BlobRef, authorization: str | None) -> Transfer | None:
        """Join or begin the blob's transfer for a client who may read it; None: it is here.

        Whoever begins it proves the right by fetching; everybody else's is checked.
        """
        known = self._known(blob.digest)
        if known:
            await self._access.check(blob, authorization)
        transfer = await self._transfers.start(
            blob.digest, self._origin(blob, authorization), whole=True
        )
        if transfer is not None and not known:
            transfer.opened.add_done_callback(
                lambda opened: self._remember(opened, blob, authorization)
            )
        return transfer

    def _remember(
        self, opened: asyncio.Future[Any], blob: BlobRef, authorization: str | None
    ) -> None:
        if not opened.cancelled() and opened.exception() is None:
            self._access.remember_yes(blob, authorization)

    async def _committed(self, digest: Digest, first: Sequence[int]) -> AsyncIterator[FetchReply]:
        reader = self._cache.open(digest)
        if reader is None:
            raise Unavailable(f"{digest} was evicted meanwhile")
        try:
            if reader.size <= INLINE_LIMIT:
                data = await reader.read()
                await self._upload.take(len(data))
                yield InlineEvent(data=data)
                return
            torrents = await self._transfers.torrents_of(digest)
            await self._report()
            yield self._layout(reader.size)
            for torrent in _in_order(torrents, first):
                yield _segment(torrent)
        finally:
            reader.close()

    async def _arriving(
        self, transfer: Transfer, first: Sequence[int]
    ) -> AsyncIterator[FetchReply]:
        async for beat in _beats(transfer, transfer.opened):
            yield beat
        arrival = await transfer.opened
        if arrival.layout.size <= INLINE_LIMIT:
            async for beat in _beats(transfer, transfer.finished):
                yield beat
            await transfer.finished
            async for reply in self._committed(transfer.digest, first):
                yield reply
            return
        await self._report()
        yield self._layout(arrival.layout.size)
        sent: set[int] = set()
        while len(sent) < len(arrival.layout.segments):
            change = transfer.published()
            ready = [t for index, t in list(transfer.torrents.items()) if index not in sent]
            for torrent in _in_order(ready, first):
                sent.add(torrent.segment.index)
                yield _segment(torrent)
            if transfer.finished.done() and len(transfer.torrents) == len(sent):
                break
            async for beat in _beats(transfer, change):
                yield beat
        async for beat in _beats(transfer, transfer.finished):
            yield beat
        await transfer.finished

    def _layout(self, size: int) -> LayoutEvent:
        return LayoutEvent(size=size, version=LAYOUT_VERSION, swarm_port=self._swarm_port)

    def _blob_at(self, url: str) -> BlobRef:
        try:
            parsed = URL(url, encoded=True)
            registry = self._registry_at(parsed.origin())
        except ValueError as error:
            raise BadName(f"{url[:200]!r} is not a blob's URL: {error}") from error
        route = parse_route("GET", parsed.raw_path, {"ns": registry}, default_registry=registry)
        if not isinstance(route, BlobRoute):
            raise BadName(f"{url[:200]!r} is not a blob's URL")
        return route.blob


async def _beats(transfer: Transfer, awaited: asyncio.Future[Any]) -> AsyncIterator[BeatEvent]:
    """A sign of life each second until ``awaited`` is done; its result is for the caller."""
    while True:
        await asyncio.wait([awaited], timeout=_BEAT_S)
        if awaited.done():
            return
        yield BeatEvent(received=transfer.arrival.received if transfer.begun else 0)


def _blob_of(request: FetchRequest) -> BlobRef:
    registry = parse_registry(request.registry)
    if not request.path:
        return BlobRef(
            Repository(registry, parse_repository_name(request.repository)), request.digest
        )
    if not request.path.startswith("/") or not request.path.isprintable():
        raise BadName(f"{request.path[:200]!r} is not a path")
    return BlobRef(Repository(registry, request.repository), request.digest, request.path)


def _in_order(torrents: Sequence[SegmentTorrent], first: Sequence[int]) -> list[SegmentTorrent]:
    urgent = set(first)
    return sorted(torrents, key=lambda t: (t.segment.index not in urgent, t.segment.index))


def _segment(torrent: SegmentTorrent) -> SegmentEvent:
    return SegmentEvent(index=torrent.segment.index, metainfo=torrent.metainfo)
