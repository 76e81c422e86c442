"""What a seeder answers to peers: the torrents of a blob's segments, as they become ready."""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any

from yarl import URL

from eagle_node.base.digest import Digest
from eagle_node.base.errors import Denied, Unavailable
from eagle_node.base.ids import NodeId
from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.cache import Cache
from eagle_node.blobs.demand import BLOCK
from eagle_node.blobs.reader import BlobReader, FileSlice
from eagle_node.blobs.segments import LAYOUT_VERSION, Segment, layout_of
from eagle_node.metainfo.hash_messages import HashesReply
from eagle_node.metainfo.messages import (
    BeatEvent,
    FetchReply,
    FetchRequest,
    InlineEvent,
    LayoutEvent,
    PrefetchRequest,
    ReadRequest,
    SegmentEvent,
)
from eagle_node.metrics.instruments import Metrics
from eagle_node.registry.access import Access
from eagle_node.registry.authorizer import ANYBODY
from eagle_node.registry.names import (
    BadName,
    BlobRef,
    Repository,
    parse_registry,
    parse_repository_name,
)
from eagle_node.registry.route import BlobRoute, parse_route
from eagle_node.runtime.budget import ByteBudget
from eagle_node.runtime.clock import monotonic
from eagle_node.runtime.context import request_id
from eagle_node.runtime.tasks import under_way
from eagle_node.runtime.threads import finish_in_thread
from eagle_node.seeder.ahead import Prefetcher
from eagle_node.seeder.interest import interest
from eagle_node.seeder.rights import remember_once_opened
from eagle_node.seeder.turns import Turns
from eagle_node.swarm.blocks import BlockHashes
from eagle_node.swarm.torrents import SegmentTorrent
from eagle_node.swarm.transfer import INLINE_LIMIT, Source, Transfer
from eagle_node.swarm.transfers import Transfers

log = logging.getLogger(__name__)

_BEAT_S = 1.0
_READ = 256 << 10
"""Bytes of an answer to `SeederService.read`."""
_MOST_AGE_MS = (1 << 64) - 1
"""What the field holds, however old a word another seeder told of."""


class SeederService:
    """The handler behind the metainfo service.

    It serves clients of other nodes: who shows nothing is anybody, and has none of this node's own
    credentials. A node that was given some for its clients shows them.
    """

    def __init__(
        self,
        *,
        cache: Cache,
        transfers: Transfers,
        access: Access,
        origin: Callable[[BlobRef, str | None], Source],
        prefetcher: Prefetcher,
        turns: Turns,
        registry_at: Callable[[URL], str],
        announce_urls: Callable[[], Sequence[str]],
        report: Callable[[], Awaitable[None]],
        upload: ByteBudget,
        swarm_port: int,
        node_id: NodeId,
        metrics: Metrics,
    ) -> None:
        self._cache = cache
        self._transfers = transfers
        self._access = access
        self._origin = origin
        self._prefetcher = prefetcher
        self._turns = turns
        self._registry_at = registry_at
        self._announce_urls = announce_urls
        self._report = report
        self._upload = upload
        self._swarm_port = swarm_port
        self._node_id = node_id
        self._metrics = metrics

    async def get_metainfo(self, url: str) -> bytes:
        """The torrent of a whole blob, given its URL at the registry, once it is whole here."""
        blob = self._blob_at(url)
        transfer, _ = await self._start(blob, ANYBODY, whole=True)
        if transfer is not None:
            await transfer.wait_finished()
        return await self._transfers.seeding.whole_torrent(blob.digest, self._announce_urls())

    async def fetch(self, request: FetchRequest) -> AsyncIterator[FetchReply]:
        """Layout, then each segment that is wanted as it becomes ready; small blobs whole.

        Of a blob of which only parts are wanted the origin is asked for no more than these.
        """
        request_id.set(request.request_id)
        blob = _blob_of(request)
        authorization = request.authorization or ANYBODY
        if request.layout_version != LAYOUT_VERSION:
            raise Unavailable(
                f"layout version {request.layout_version} is not spoken here, {LAYOUT_VERSION} is"
            )
        log.debug("node %s wants %s", request.node_id, blob)
        again = False
        while True:
            joined = self._known(blob.digest)
            start = self._start(blob, authorization, whole=not request.only_first)
            async with under_way(start, name="fetch-start") as starting:
                if again:
                    async for beat in self._beats(starting):
                        yield beat
                transfer, said_at = await starting
            if transfer is None:
                replies = self._committed(blob.digest, request, said_at)
            else:
                replies = self._arriving(transfer, request, said_at)
            try:
                async with aclosing(replies):
                    async for reply in replies:
                        yield reply
                return
            except Denied as error:
                if not joined:
                    raise
                log.info("%s was refused to whoever asked for it first: %s", blob, error)
                again = True

    async def read(self, request: ReadRequest) -> AsyncIterator[bytes]:
        """Bytes of a segment of which a peer's readers want only a part.

        They are fetched like any reader's here. No hash comes with them, since a segment has none
        before all of it is here: the peer gives them to readers, as it gives them any range of a
        blob that is not whole, and to nobody else.
        """
        request_id.set(request.request_id)
        blob = _blob_of(request)
        reader = await self._reader(blob, request.authorization or ANYBODY)
        try:
            if not 0 <= request.start < request.stop <= reader.size:
                raise BadName(f"{blob} has no bytes {request.start} to {request.stop}")
            async with aclosing(reader.slices(ByteRange(request.start, request.stop))) as slices:
                async for part in slices:
                    async for chunk in _chunks(part):
                        await self._upload.take(len(chunk))
                        self._metrics.peer_upload_bytes.inc(len(chunk))
                        yield chunk
        finally:
            reader.close()

    async def hashes(self, request: ReadRequest) -> HashesReply:
        """What bytes of a segment that is here hash to, for who gets them from other nodes."""
        request_id.set(request.request_id)
        blob = _blob_of(request)
        if not self._known(blob.digest):
            raise Unavailable(f"{blob.digest} is not here")
        await self._access.check(blob, request.authorization or ANYBODY)
        segment, torrent = await self._segment_of(blob.digest, request)
        reader = self._cache.open(blob.digest)
        if reader is None:
            raise Unavailable(f"{blob.digest} was evicted meanwhile")
        first = segment.start + (request.start - segment.start) // BLOCK * BLOCK
        last = segment.start - (segment.start - request.stop) // BLOCK * BLOCK
        hashes = BlockHashes()
        try:
            run = ByteRange(first, min(last, segment.stop))
            async with aclosing(reader.slices(run)) as slices:
                async for part in slices:
                    async for chunk in _chunks(part):
                        hashes.add(chunk)
        finally:
            reader.close()
        return HashesReply(
            hashes=hashes.finish(), info_hash=torrent.info_hash, node_id=self._node_id
        )

    async def _segment_of(
        self, digest: Digest, request: ReadRequest
    ) -> tuple[Segment, SegmentTorrent]:
        """The segment that holds what was asked for, all of it, and its torrent."""
        transfer, torrents = self._transfers.get(digest), {}
        if digest in self._cache:
            torrents = dict(enumerate(await self._transfers.seeding.torrents_of(digest)))
            size = self._cache.size(digest)
        elif transfer is not None and transfer.begun:
            torrents, size = transfer.torrents, transfer.arrival.layout.size
        else:
            raise Unavailable(f"{digest} is not here")
        if not 0 <= request.start < request.stop <= size:
            raise BadName(f"{digest} has no bytes {request.start} to {request.stop}")
        segment = layout_of(size).at(request.start)
        torrent = torrents.get(segment.index)
        if torrent is None or request.stop > segment.stop:
            raise Unavailable(f"bytes {request.start} to {request.stop} of {digest} are not here")
        return segment, torrent

    async def _reader(self, blob: BlobRef, authorization: str | None) -> BlobReader:
        """A reader for a client who may read ``blob``; raises the origin's refusal."""
        while True:
            joined = self._known(blob.digest)
            transfer, _ = await self._start(blob, authorization, whole=False)
            try:
                if transfer is not None:
                    await transfer.wait_opened()
            except Denied as error:
                if not joined:
                    raise
                log.info("%s was refused to whoever asked for it first: %s", blob, error)
                continue
            reader = self._cache.open(blob.digest)
            if reader is None:
                raise Unavailable(f"{blob.digest} was lost while it was opened")
            return reader

    async def prefetch(self, request: PrefetchRequest) -> None:
        """Note what may be asked for soon by another node, if it is not here."""
        self.note(request, request.authorization or ANYBODY)

    def note(self, request: PrefetchRequest, authorization: str | None) -> None:
        """The same for a reader of any node, this one's clients among them."""
        request_id.set(request.request_id)
        repository = Repository(
            parse_registry(request.registry), parse_repository_name(request.repository)
        )
        for blob in request.blobs:
            reference = BlobRef(repository, blob.digest)
            self._prefetcher.note(reference, blob.size, authorization)

    def _known(self, digest: Digest) -> bool:
        """Whether the blob is here or on its way, in the name of somebody who may read it."""
        return digest in self._cache or self._transfers.get(digest) is not None

    async def _start(
        self, blob: BlobRef, authorization: str | None, *, whole: bool
    ) -> tuple[Transfer | None, float]:
        """Join or begin the blob's transfer for a client who may read it; None: it is here.

        Whoever begins it proves the right by fetching; everybody else's is checked. With it comes
        when (`monotonic`) the origin said yes: infinity where the transfer is to find that out.
        """
        await self._transfers.ready(blob.digest)
        known, said_at = self._known(blob.digest), math.inf
        if known:
            said_at = await self._checked(blob, authorization)
        self._prefetcher.claim(blob.digest)
        transfer = await self._transfers.start(
            blob.digest,
            self._origin(blob, authorization),
            whole=whole,
            claim=(blob, authorization),
        )
        if transfer is None and not known:
            # It has come while this waited for another transfer's end: nothing was proven.
            said_at = await self._checked(blob, authorization)
        if transfer is not None and not known:
            remember_once_opened(self._access, transfer, blob, authorization)
        return transfer, said_at

    async def _checked(self, blob: BlobRef, authorization: str | None) -> float:
        """When (`monotonic`) the origin said that this client may read ``blob``; raises its no."""
        grant = await self._access.check(blob, authorization)
        return monotonic() - grant.age_s

    async def _committed(
        self, digest: Digest, request: FetchRequest, said_at: float
    ) -> AsyncGenerator[FetchReply, None]:
        reader = self._cache.open(digest)
        if reader is None:
            raise Unavailable(f"{digest} was evicted meanwhile")
        try:
            if reader.size <= INLINE_LIMIT:
                data = await reader.read()
                async with under_way(self._upload.take(len(data)), name="upload-turn") as turn:
                    async for beat in self._beats(turn, received=len(data)):
                        yield beat
                    await turn
                self._metrics.peer_upload_bytes.inc(len(data))
                yield InlineEvent(data=data, age_ms=_age_ms(said_at))
                return
            torrents = await self._transfers.seeding.torrents_of(digest)
            await self._report()
            port = self._transfers.port_of(digest) or self._swarm_port
            yield _layout(reader.size, port, said_at)
            for torrent in _in_order(torrents, request):
                yield _segment(torrent)
        finally:
            reader.close()

    async def _arriving(
        self, transfer: Transfer, request: FetchRequest, said_at: float
    ) -> AsyncGenerator[FetchReply, None]:
        async for beat in self._beats(transfer.opened, transfer):
            yield beat
        arrival = await transfer.opened
        said_at = transfer.said_at if said_at == math.inf else said_at
        if arrival.layout.size <= INLINE_LIMIT:
            transfer.want_whole()
            async for beat in self._beats(transfer.finished, transfer):
                yield beat
            await transfer.finished
            async with aclosing(self._committed(transfer.digest, request, said_at)) as replies:
                async for reply in replies:
                    yield reply
            return
        first = request.first if request.only_first else ()
        with interest(arrival, first), self._turns.listening():
            await self._report()
            yield _layout(arrival.layout.size, self._swarm_port, said_at)
            async for reply in self._published(transfer, request):
                yield reply
        await transfer.finished

    async def _published(
        self, transfer: Transfer, request: FetchRequest
    ) -> AsyncIterator[FetchReply]:
        """Segments as they become ready here or elsewhere, until the transfer has ended.

        A seeder that gets the blob from others passes on what it is told: who asks it may be the
        one from whom it gets them.
        """
        sent: set[int] = set()
        while True:
            change, ended = transfer.published(), transfer.finished.done()
            known = transfer.learnt | transfer.torrents
            ready = [torrent for index, torrent in known.items() if index not in sent]
            for torrent in _in_order(ready, request):
                sent.add(torrent.segment.index)
                yield _segment(torrent)
            if ended:
                return
            async for beat in self._beats(change, transfer):
                yield beat

    async def _beats(
        self, awaited: asyncio.Future[Any], transfer: Transfer | None = None, *, received: int = 0
    ) -> AsyncIterator[BeatEvent]:
        """A sign of life each second until ``awaited`` is done; its result is for the caller.

        ``received`` bytes are here, unless ``transfer`` knows more.
        """
        while not awaited.done():
            await asyncio.wait([awaited], timeout=_BEAT_S)
            if not awaited.done():
                if transfer is not None and transfer.begun:
                    received = transfer.arrival.received
                yield BeatEvent(
                    received=received,
                    waiting=transfer is not None and self._turns.awaits(transfer),
                )

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


async def _chunks(part: FileSlice) -> AsyncIterator[bytes]:
    offset, stop = part.offset, part.offset + part.length
    while offset < stop:
        wanted = min(_READ, stop - offset)
        chunk = await finish_in_thread(os.pread, part.file.fileno(), wanted, offset)
        if not chunk:
            raise Unavailable("a segment became shorter while it was read")
        offset += len(chunk)
        yield chunk


def _blob_of(request: FetchRequest | ReadRequest) -> BlobRef:
    registry = parse_registry(request.registry)
    if not request.path:
        return BlobRef(
            Repository(registry, parse_repository_name(request.repository)), request.digest
        )
    if not request.path.startswith("/") or not request.path.isprintable():
        raise BadName(f"{request.path[:200]!r} is not a path")
    return BlobRef(Repository(registry, request.repository), request.digest, request.path)


def _in_order(torrents: Sequence[SegmentTorrent], request: FetchRequest) -> list[SegmentTorrent]:
    """Those that are wanted, the urgent ones first."""
    urgent = set(request.first)
    wanted = [t for t in torrents if t.segment.index in urgent or not request.only_first]
    return sorted(wanted, key=lambda t: (t.segment.index not in urgent, t.segment.index))


def _layout(size: int, port: int, said_at: float) -> LayoutEvent:
    return LayoutEvent(size=size, version=LAYOUT_VERSION, swarm_port=port, age_ms=_age_ms(said_at))


def _age_ms(said_at: float) -> int:
    """Rounded up: no word gets younger by being passed on."""
    return min(math.ceil((monotonic() - said_at) * 1000), _MOST_AGE_MS)


def _segment(torrent: SegmentTorrent) -> SegmentEvent:
    return SegmentEvent(index=torrent.segment.index, root=torrent.root)
