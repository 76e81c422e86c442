"""Nodes without a node: cache, session and transfers, for tests on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from eagle_node.base.digest import Digest
from eagle_node.base.ids import InfoHash, NodeId
from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.arrival import Arrival
from eagle_node.blobs.cache import Cache
from eagle_node.blobs.files import blob_directory
from eagle_node.config.tree import CacheConfig, SwarmConfig
from eagle_node.metrics.instruments import Metrics
from eagle_node.peer.announce import AnnounceEndpoint
from eagle_node.swarm.events import TorrentEvent, TorrentFinished
from eagle_node.swarm.session import Swarm
from eagle_node.swarm.torrents import SegmentTorrent
from eagle_node.swarm.transfer import Transfer
from eagle_node.swarm.transfers import LINGER_S, Transfers
from eagle_node.tracker.schema import PeerAddress
from tests.unit.blobs.builders import ingest, write_segment

LOOPBACK = "127.0.0.1"


def swarm_config(port: int = 0) -> SwarmConfig:
    """A session on a free loopback port, unless it is given."""
    return SwarmConfig(port=port, ssl_port=port, listen_host=LOOPBACK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """What the rooms above the swarm work with."""

    cache: Cache
    swarm: Swarm
    transfers: Transfers
    metrics: Metrics
    root: Path


@asynccontextmanager
async def rig(
    root: Path, *, limit: int = 0, most_torrents: int = 4000, linger_s: float = LINGER_S
) -> AsyncIterator[Rig]:
    """A running one, with its cache in ``root``."""
    metrics = Metrics()
    async with (
        Cache(CacheConfig(size=limit, reserve=0), root, metrics) as cache,
        Swarm(swarm_config()) as swarm,
        Transfers(
            cache, swarm, metrics, most_torrents=most_torrents, linger_s=linger_s
        ) as transfers,
    ):
        yield Rig(cache=cache, swarm=swarm, transfers=transfers, metrics=metrics, root=root)
        cache.check()


class Events:
    """The events of a session, to be waited for."""

    def __init__(self) -> None:
        self.seen: list[TorrentEvent] = []
        self._queue: asyncio.Queue[TorrentEvent] = asyncio.Queue()

    def __call__(self, event: TorrentEvent) -> None:
        """Observe."""
        self.seen.append(event)
        self._queue.put_nowait(event)

    async def until(self, kind: type[TorrentEvent], *, timeout_s: float = 60.0) -> TorrentEvent:
        """The next event of a kind."""
        async with asyncio.timeout(timeout_s):
            while not isinstance(event := await self._queue.get(), kind):
                pass
        return event

    async def finished(self, info_hashes: Iterable[InfoHash], *, timeout_s: float = 60.0) -> None:
        """Wait until all of these torrents have finished."""
        left = set(info_hashes)
        async with asyncio.timeout(timeout_s):
            while left:
                event = await self._queue.get()
                if isinstance(event, TorrentFinished):
                    left.discard(event.info_hash)


async def torrents_of(rig: Rig, data: bytes) -> list[SegmentTorrent]:
    """Take a blob into a rig's cache and offer it."""
    return [*await rig.transfers.seeding.torrents_of(await ingest(rig.cache, data))]


def directory_for(root: Path, digest: Digest) -> Path:
    """An empty directory for a download."""
    path = blob_directory(root, digest).path
    path.mkdir(parents=True, exist_ok=True)
    return path


class Script:
    """A source that brings a blob's missing segments, when it may; keeps account of its calls."""

    def __init__(self, data: bytes, *, error: Exception | None = None) -> None:
        self.data = data
        self.error = error
        self.calls = 0
        self.called = asyncio.Event()
        self.brought: list[int] = []
        self.may_begin = asyncio.Event()
        self.may_begin.set()
        self.may_write = asyncio.Event()
        self.may_write.set()

    async def __call__(self, transfer: Transfer) -> None:
        """Fill a transfer; then raise the error that it was given, if any."""
        self.calls += 1
        self.called.set()
        await self.may_begin.wait()
        if self.error is not None and not self.data:
            raise self.error
        arrival = await transfer.begin(len(self.data))
        while missing := _missing(arrival):
            await self.may_write.wait()
            if self.error is not None and self.brought:
                raise self.error
            transfer.reserve(missing[0])
            write_segment(arrival, self.data, missing[0])
            self.brought.append(missing[0])
            await transfer.segment_written(missing[0])


def _missing(arrival: Arrival) -> list[int]:
    """Segments to bring, also where a part would do."""
    parts = (arrival.layout.at(run.start).index for run in arrival.missing_parts())
    return [*arrival.missing(), *parts]


async def read_whole(rig: Rig, transfer: Transfer) -> bytes:
    """What a client of a transfer gets, once the blob is committed as well."""
    arrival = await transfer.wait_opened()
    body = await read_range(rig, transfer.digest, 0, arrival.layout.size)
    await transfer.wait_finished()
    return body


async def read_range(rig: Rig, digest: Digest, start: int, stop: int) -> bytes:
    """Bytes of a blob that is here or on its way."""
    reader = rig.cache.open(digest)
    assert reader is not None
    try:
        return await reader.read(ByteRange(start, stop))
    finally:
        reader.close()


def introduce(endpoint: AnnounceEndpoint, torrent: SegmentTorrent, port: int | None) -> None:
    """Name who listens on loopback at ``port`` to whoever announces; nobody when it is None."""
    peers = [PeerAddress(node_id=NodeId(""), host=LOOPBACK, port=port)] if port else []

    async def named() -> list[PeerAddress]:
        return peers

    endpoint.offer(torrent.info_hash, named)
