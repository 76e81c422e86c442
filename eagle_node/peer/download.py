"""Performs one download: a transfer's source that draws on the swarm, then on the origin."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from eagle_node.base.errors import EagleError, NoSpace, Unavailable
from eagle_node.base.ids import NodeId
from eagle_node.blobs.segments import LAYOUT_VERSION
from eagle_node.config.tree import SwarmConfig
from eagle_node.metainfo.client import MetaInfoClient
from eagle_node.metainfo.messages import (
    BeatEvent,
    FetchRequest,
    InlineEvent,
    LayoutEvent,
    SegmentEvent,
)
from eagle_node.metrics.instruments import Metrics
from eagle_node.peer import events as m
from eagle_node.peer.announce import AnnounceEndpoint
from eagle_node.peer.machine import Download
from eagle_node.registry.names import BlobRef
from eagle_node.runtime.clock import Clock
from eagle_node.runtime.context import request_id
from eagle_node.runtime.sockets import Address
from eagle_node.runtime.tasks import TaskSet
from eagle_node.runtime.threads import finish_in_thread
from eagle_node.swarm.events import (
    PeerLost,
    PieceRejected,
    TorrentEvent,
    TorrentFailed,
    TorrentFinished,
)
from eagle_node.swarm.session import Swarm
from eagle_node.swarm.torrents import SegmentTorrent, parse_torrent
from eagle_node.swarm.transfers import Source, Transfer
from eagle_node.tracker.client import TrackerClient
from eagle_node.tracker.schema import NodeInfo, PeerAddress, PlanRequest

log = logging.getLogger(__name__)

_TICK_S = 0.25
_SUSPICIOUS_S = 0.75
"""Quiet after which it is worth asking libtorrent about the connections."""
_PROBE_TIMEOUT_S = 1.0
_UNKNOWN = NodeId("")
"""Of a seeder that no tracker has named."""
_MESH = 8
"""Peers to dial when the plan's parents make no progress."""
_FIRST_SEGMENTS = 16
"""Urgent segments to name to a seeder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What downloads work with; shared by all of a node's downloads."""

    node: NodeInfo
    swarm: Swarm
    metainfo: MetaInfoClient
    tracker: TrackerClient
    trackers: Sequence[str]
    """Announce URLs of the cluster's trackers, further tiers."""
    announces: AnnounceEndpoint
    config: SwarmConfig
    metrics: Metrics
    clock: Clock


class SwarmFill:
    """Fills one blob's transfer; callable as its source, once per wave of demand."""

    def __init__(
        self,
        means: Means,
        blob: BlobRef,
        authorization: str | None,
        seeders: Sequence[Address],
        origin: Source,
    ) -> None:
        self._means = means
        self._blob = blob
        self._authorization = authorization
        self._seeders = seeders
        self._origin = origin
        self._torrents: dict[int, SegmentTorrent] = {}
        self._prepared: set[int] = set()
        self._active: dict[int, int] = {}
        self._peers: Sequence[PeerAddress] = ()
        self._failed: list[NodeId] = []
        self._gone: list[NodeId] = []
        self._dialled: set[PeerAddress] = set()
        self._planned = asyncio.Event()
        self._events: asyncio.Queue[m.Event | TorrentEvent] = asyncio.Queue()
        self._stream: asyncio.Task[None] | None = None

    async def __call__(self, transfer: Transfer) -> None:
        """Bring what is missing and wanted; raises the last source's error."""
        means = self._means
        self._events = asyncio.Queue()
        machine = Download(
            seeders=len(self._seeders),
            window=means.config.window,
            stall_s=means.config.stall_s,
            now=means.clock(),
        )
        async with TaskSet() as tasks:
            tasks.spawn(self._tick(machine), name="download-tick")
            tasks.spawn(self._watch_demand(transfer), name="download-demand")
            effects = machine.start()
            try:
                while True:
                    ending = await self._perform(effects, transfer, tasks)
                    if ending is not None:
                        break
                    event = await self._next_event(transfer)
                    effects = machine.handle(event, means.clock()) if event else ()
            finally:
                self._release(transfer)
        match ending:
            case m.GiveUp(error):
                raise error
            case m.GoToOrigin(reason):
                log.warning("%s: %s; fetching it from the origin", self._blob.digest, reason)
                means.metrics.fallbacks.labels("origin").inc()
                if transfer.begun:
                    transfer.arrival.source = "origin"
                await self._origin(transfer)

    async def _perform(
        self, effects: Sequence[m.Effect], transfer: Transfer, tasks: TaskSet
    ) -> m.Effect | None:
        """Perform effects in order; the one that ends the download, if it is among them."""
        for effect in effects:
            match effect:
                case m.PrepareSegment(index):
                    self._prepare_segment(index, transfer)
                case m.StartSegment(index):
                    self._start_segment(index)
                case m.OpenStream(attempt):
                    if self._stream is not None:
                        self._stream.cancel()
                    self._stream = tasks.spawn(
                        self._read_stream(attempt, transfer), name="download-metainfo"
                    )
                case m.AskPlan():
                    tasks.spawn(self._plan(effect, transfer), name="download-plan")
                case m.ProbeParent():
                    tasks.spawn(self._probe_parent(), name="download-probe")
                case m.WidenMesh():
                    self._means.metrics.fallbacks.labels("mesh").inc()
                    self._dial(self._peers[:_MESH])
                case _:
                    return effect
        return None

    async def _next_event(self, transfer: Transfer) -> m.Event | None:
        """Wait for the next fact; facts of the swarm are translated, and recorded first."""
        event = await self._events.get()
        match event:
            case TorrentFinished(info_hash):
                index = self._index_of(info_hash)
                if index is None:
                    return None
                self._active.pop(index, None)
                self._prepared.discard(index)
                log.debug("%s: segment %d finished", self._blob.digest, index)
                self._means.announces.withdraw(self._torrents[index].info_hash)
                await transfer.segment_written(index, self._torrents[index])
                return m.SegmentArrived(index)
            case TorrentFailed():
                if event.disk_full:
                    raise NoSpace(f"the disk is full: {event.reason}")
                raise Unavailable(event.reason)
            case PeerLost(_, host, port):
                is_parent = any((host, port) == (peer.host, peer.port) for peer in self._peers[:1])
                return m.ParentLost() if is_parent else None
            case PieceRejected():
                log.warning("%s: a peer sent a wrong piece %d", self._blob.digest, event.piece)
                return None
            case m.LayoutArrived() | m.Wanted() | m.MetainfoArrived() | m.SegmentArrived():
                return event
            case m.ParentLost() | m.ParentGone() | m.Planned():
                return event
            case m.BytesArrived() | m.SeederBeat() | m.StreamEnded() | m.Ticked():
                return event
            case _:
                return self._progressed(event.info_hash, event.received)

    def _progressed(self, info_hash: bytes, received: int) -> m.Event | None:
        index = self._index_of(info_hash)
        if index is None or received <= self._active.get(index, 0):
            return None
        self._active[index] = received
        return m.BytesArrived()

    def _index_of(self, info_hash: bytes) -> int | None:
        for index in self._prepared:
            if self._torrents[index].info_hash == info_hash:
                return index
        return None

    def _prepare_segment(self, index: int, transfer: Transfer) -> None:
        torrent = self._torrents[index]
        transfer.reserve(index)
        self._prepared.add(index)
        self._means.announces.offer(torrent.info_hash, self._parent)
        self._means.swarm.prepare(
            torrent, transfer.arrival.directory.path, observer=self._events.put_nowait
        )

    def _start_segment(self, index: int) -> None:
        self._active[index] = 0
        log.debug("%s: segment %d started", self._blob.digest, index)
        trackers = [self._means.announces.url, *self._means.trackers]
        self._means.swarm.start(self._torrents[index].info_hash, trackers)

    async def _parent(self) -> Sequence[PeerAddress]:
        await self._planned.wait()
        self._dialled.update(self._peers[:1])
        return self._peers[:1]

    async def _probe_parent(self) -> None:
        """Tell a parent whose process has ended from one that only has closed a connection."""
        for parent in self._peers[:1]:
            try:
                async with asyncio.timeout(_PROBE_TIMEOUT_S):
                    _, writer = await asyncio.open_connection(parent.host, parent.port)
            except (OSError, TimeoutError):
                self._events.put_nowait(m.ParentGone())
            else:
                writer.close()

    async def _plan(self, asked: m.AskPlan, transfer: Transfer) -> None:
        """Ask the tracker whom to connect to, and dial for what is active already."""
        parent_failed = asked.parent_failed
        if parent_failed and self._peers:
            parent = self._peers[0]
            blamed = self._gone if asked.gone else self._failed
            if parent.node_id != _UNKNOWN and parent.node_id not in blamed:
                blamed.append(parent.node_id)
            self._means.metrics.fallbacks.labels("parent").inc()
            log.info("%s: no progress from %s:%d", self._blob.digest, parent.host, parent.port)
        request = PlanRequest(
            node=self._means.node,
            digest=self._blob.digest,
            size=transfer.arrival.layout.size,
            failed=tuple(self._failed),
            gone=tuple(self._gone),
        )
        try:
            plan = await self._means.tracker.plan(request)
        except Unavailable as error:
            log.warning("no plan for %s: %s", self._blob.digest, error)
            if parent_failed:
                self._peers = (*self._peers[1:], *self._peers[:1])
        else:
            self._peers = [peer for peer in plan.peers if peer.node_id != self._means.node.node_id]
        if self._peers:
            self._planned.set()
        if parent_failed:
            self._dial(self._peers[:1])
        self._events.put_nowait(m.Planned())

    def _dial(self, peers: Sequence[PeerAddress]) -> None:
        self._dialled.update(peers)
        for index in self._active:
            for peer in peers:
                self._means.swarm.connect(self._torrents[index].info_hash, peer.host, peer.port)

    async def _read_stream(self, attempt: int, transfer: Transfer) -> None:
        """Read a seeder's metainfo into events; its end or error is the last of them."""
        seeder = self._seeders[attempt]
        error: EagleError | None = None
        try:
            await self._read(seeder, transfer)
        except EagleError as failure:
            log.info("seeder %s: %s", seeder, failure)
            error = failure
        self._events.put_nowait(m.StreamEnded(error))

    async def _read(self, seeder: Address, transfer: Transfer) -> None:
        first = transfer.arrival.missing()[:_FIRST_SEGMENTS] if transfer.begun else []
        request = FetchRequest(
            registry=self._blob.repository.registry,
            repository=self._blob.repository.name,
            digest=self._blob.digest,
            authorization=self._authorization or "",
            node_id=self._means.node.node_id,
            layout_version=LAYOUT_VERSION,
            request_id=request_id.get(),
            first=tuple(first),
            path=self._blob.served_at,
        )
        async for reply in self._means.metainfo.fetch_from(seeder, request):
            match reply:
                case LayoutEvent(size=size, version=version, swarm_port=port):
                    if version != LAYOUT_VERSION:
                        raise Unavailable(f"seeder {seeder} speaks layout version {version}")
                    await self._begin(size, transfer, swarmed=True)
                    self._fall_back_to(seeder, port)
                case SegmentEvent(index=index, metainfo=metainfo):
                    self._learn(index, metainfo, transfer)
                case InlineEvent(data=data):
                    await self._begin(len(data), transfer, swarmed=False)
                    await self._write_inline(data, transfer)
                case BeatEvent(received=received):
                    self._events.put_nowait(m.SeederBeat(received))

    async def _begin(self, size: int, transfer: Transfer, *, swarmed: bool) -> None:
        arrival = await transfer.begin(size)
        arrival.source = "swarm"
        have = frozenset(arrival.have)
        self._events.put_nowait(m.LayoutArrived(len(arrival.layout.segments), have, swarmed))
        self._events.put_nowait(m.Wanted(tuple(arrival.missing())))

    def _fall_back_to(self, seeder: Address, port: int) -> None:
        """Without a plan the seeder itself is the parent."""
        with suppress(ValueError):
            if not self._planned.is_set() and port:
                fallback = PeerAddress(node_id=_UNKNOWN, host=_ip(seeder.host), port=port)
                asyncio.get_running_loop().call_later(1.0, self._use_fallback, fallback)

    def _use_fallback(self, seeder: PeerAddress) -> None:
        if not self._planned.is_set():
            self._peers = (seeder,)
            self._planned.set()
            self._dial(self._peers)

    def _learn(self, index: int, metainfo: bytes, transfer: Transfer) -> None:
        segments = transfer.arrival.layout.segments
        if index >= len(segments):
            raise Unavailable(f"a seeder named segment {index} of {len(segments)}")
        if index not in self._torrents:
            self._torrents[index] = parse_torrent(
                metainfo,
                self._blob.digest,
                segments[index],
                root_certificate=self._means.swarm.root_certificate,
            )
        self._events.put_nowait(m.MetainfoArrived(index))

    async def _write_inline(self, data: bytes, transfer: Transfer) -> None:
        for segment in transfer.arrival.layout.segments:
            if segment.index in transfer.arrival.have:
                continue
            transfer.reserve(segment.index)
            path = transfer.arrival.directory.segment(segment.index)
            part = data[segment.start : segment.stop]
            try:
                await finish_in_thread(path.write_bytes, part)
            except OSError as error:
                raise NoSpace(f"cannot write {path}: {error.strerror}") from error
            self._means.metrics.peer_download_bytes.inc(len(part))
            await transfer.segment_written(segment.index)
            self._events.put_nowait(m.SegmentArrived(segment.index))

    async def _watch_demand(self, transfer: Transfer) -> None:
        await asyncio.wait([transfer.opened])
        before: tuple[int, ...] = ()
        while True:
            missing = tuple(transfer.arrival.missing())
            if missing != before:
                self._events.put_nowait(m.Wanted(missing))
            before = missing
            await transfer.arrival.changed()

    async def _tick(self, machine: Download) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            parent = m.Parent.HOLDING
            if machine.quiet_s(self._means.clock()) >= _SUSPICIOUS_S:
                parent = self._parent_state()
            self._events.put_nowait(m.Ticked(parent))

    def _parent_state(self) -> m.Parent:
        """What those whom this node has dialled could send; its children are not among them."""
        dialled = {(peer.host, peer.port) for peer in self._dialled}
        offers = [
            has_more
            for index in self._active
            for endpoint, has_more in self._means.swarm.offers(self._torrents[index].info_hash)
            if endpoint in dialled
        ]
        if not offers:
            return m.Parent.GONE
        return m.Parent.HOLDING if any(offers) else m.Parent.STARVED

    def _release(self, transfer: Transfer) -> None:
        """Leave the torrents that did not finish."""
        for index in self._prepared:
            info_hash = self._torrents[index].info_hash
            self._means.announces.withdraw(info_hash)
            self._means.swarm.remove(info_hash)
        self._prepared.clear()
        self._active.clear()
        if transfer.begun:
            transfer.arrival.woke()


def _ip(host: str) -> str:
    import ipaddress

    return str(ipaddress.ip_address(host))
