"""Performs one download: a transfer's source that draws on the swarm, then on the origin."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from eagle_node.base.errors import Denied, EagleError, NoSpace, Unavailable
from eagle_node.base.ids import NodeId
from eagle_node.blobs.segments import LAYOUT_VERSION
from eagle_node.config.tree import SwarmConfig
from eagle_node.metainfo.client import MetaInfoClient
from eagle_node.metainfo.messages import (
    BeatEvent,
    FetchReply,
    FetchRequest,
    InlineEvent,
    LayoutEvent,
    SegmentEvent,
)
from eagle_node.metrics.instruments import Metrics
from eagle_node.peer import events as m
from eagle_node.peer.announce import AnnounceEndpoint
from eagle_node.peer.discretion import ANY_READER, Discretion
from eagle_node.peer.holders import Acquaintance, HolderSource
from eagle_node.peer.machine import Download
from eagle_node.peer.parts import PartSource
from eagle_node.peer.reach import answers, round_trip_s
from eagle_node.registry.names import BlobRef
from eagle_node.runtime.budget import ByteBudget
from eagle_node.runtime.clock import Clock
from eagle_node.runtime.context import request_id
from eagle_node.runtime.sockets import Address
from eagle_node.runtime.tasks import TaskSet
from eagle_node.runtime.threads import finish_in_thread
from eagle_node.runtime.tracing import peer_attributes, span
from eagle_node.swarm.blocks import BlockClient
from eagle_node.swarm.events import (
    PeerLost,
    PieceRejected,
    TorrentEvent,
    TorrentFailed,
    TorrentFinished,
)
from eagle_node.swarm.session import Swarm
from eagle_node.swarm.torrents import SegmentTorrent, assemble_torrent
from eagle_node.swarm.transfers import Source, Transfer
from eagle_node.swarm.window import ReceiveWindow
from eagle_node.tracker.client import TrackerClient
from eagle_node.tracker.schema import NodeInfo, PeerAddress, Plan, PlanRequest

log = logging.getLogger(__name__)

_TICK_S = 0.25
_SUSPICIOUS_S = 0.75
"""Quiet after which it is worth asking libtorrent about the connections."""
_REPLAN_S = 2.0
"""Until the trackers are asked again when none answers."""
_REPLAN_PAUSE_S = 0.1
"""Between two changes of a plan, at the least: a wave that forms changes it often."""
_UNKNOWN = NodeId("")
"""Of a seeder that no tracker has named."""
_MESH = 8
"""Peers to dial when the plan's parents make no progress."""
_SEEDER_PATIENCE = 3
"""Stalls that a seeder is granted for the next byte of a part: it may come from the origin."""
_FIRST_SEGMENTS = 16
"""Urgent segments to name to a seeder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What downloads work with; shared by all of a node's downloads."""

    node: Callable[[], NodeInfo]
    """This node, as it is now."""
    swarm: Swarm
    metainfo: MetaInfoClient
    tracker: TrackerClient
    trackers: Callable[[], Sequence[str]]
    """Announce URLs of the cluster's trackers, further tiers."""
    announces: AnnounceEndpoint
    blocks: BlockClient
    acquaintance: Acquaintance
    config: SwarmConfig
    metrics: Metrics
    discretion: Discretion
    download: ByteBudget
    """What comes past the swarm is drawn from it."""
    window: ReceiveWindow
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
        *,
        next_in_line: bool = False,
    ) -> None:
        self._means = means
        self._blob = blob
        self._authorization = authorization
        self._seeders = seeders
        self._next_in_line = next_in_line
        self._origin = origin
        self._reader = ANY_READER
        self._is_private = False
        """Seeders were refused what this node may have: they were not shown its credentials."""
        self._parts = PartSource(
            metainfo=means.metainfo,
            seeders=seeders,
            blob=blob,
            shown=self._shown,
            node_id=means.node().node_id,
            silence_s=_SEEDER_PATIENCE * means.config.stall_s,
            download=means.download,
            metrics=means.metrics,
            holders=HolderSource(
                metainfo=means.metainfo,
                tracker=means.tracker,
                blocks=means.blocks,
                acquaintance=means.acquaintance,
                seeders=seeders,
                blob=blob,
                node=means.node,
                silence_s=means.config.stall_s,
                download=means.download,
                metrics=means.metrics,
                clock=means.clock,
            ),
        )
        self._torrents: dict[int, SegmentTorrent] = {}
        self._prepared: set[int] = set()
        self._active: dict[int, int] = {}
        self._stripes: Sequence[Sequence[PeerAddress]] = ((),)
        """By stripe: the parent, then fallbacks."""
        self._to_dial: dict[int, Sequence[PeerAddress]] = {}
        """Whom a segment's next announce names; else it is the parent."""
        self._dialled_for: dict[int, PeerAddress] = {}
        """The parent that a segment was started with."""
        self._revision = ""
        self._failed: list[NodeId] = []
        self._gone: list[NodeId] = []
        self._dialled: set[PeerAddress] = set()
        self._planned = asyncio.Event()
        self._events: asyncio.Queue[m.Event | TorrentEvent] = asyncio.Queue()
        self._stream: asyncio.Task[None] | None = None

    async def __call__(self, transfer: Transfer) -> None:
        """Bring what is missing and wanted; raises the last source's error."""
        means = self._means
        registry = self._blob.repository.registry
        self._reader = await means.discretion.reader(registry, self._authorization)
        try:
            if not self._is_private:
                await self._swarm_fill(transfer)
                return
        except Denied as error:
            if not self._withholds():
                raise
            self._is_private = True
            log.info("%s comes from its registry, as a private blob: %s", self._blob, error)
        await self._origin_fill(transfer)

    def _shown(self, seeder: Address) -> str:
        return self._means.discretion.shown(self._reader, seeder)

    def _withholds(self) -> bool:
        """Whether a seeder may have been refused for want of credentials that are here."""
        return any(self._means.discretion.withholds(self._reader, each) for each in self._seeders)

    async def _swarm_fill(self, transfer: Transfer) -> None:
        if transfer.begun and await self._parts_suffice(transfer):
            return
        means = self._means
        self._events = asyncio.Queue()
        machine = Download(
            seeders=len(self._seeders),
            next_in_line=self._next_in_line,
            window=means.config.window,
            stall_s=means.config.stall_s,
            now=means.clock(),
        )
        async with TaskSet() as tasks:
            tasks.spawn(self._tick(machine), name="download-tick")
            tasks.spawn(self._watch_demand(transfer), name="download-demand")
            tasks.spawn(self._bring_parts(transfer), name="download-parts")
            tasks.spawn(self._follow_plan(transfer, machine), name="download-follow-plan")
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
                await self._go_to_origin(transfer, reason)

    async def _go_to_origin(self, transfer: Transfer, reason: str) -> None:
        log.warning("%s: %s; fetching it from the origin", self._blob.digest, reason)
        self._means.metrics.fallbacks.labels("origin").inc()
        await self._origin_fill(transfer)

    async def _origin_fill(self, transfer: Transfer) -> None:
        if transfer.begun:
            transfer.arrival.source = "origin"
        await self._origin(transfer)

    async def _parts_suffice(self, transfer: Transfer) -> bool:
        """Bring what is wanted if that is only parts of segments; whether it was."""
        arrival = transfer.arrival
        if arrival.missing():
            return False
        arrival.source = "swarm"
        try:
            await self._parts.bring(transfer)
        except (Denied, NoSpace):
            raise
        except EagleError as error:
            await self._go_to_origin(transfer, str(error))
            return True
        return not arrival.wants_more()

    async def _bring_parts(self, transfer: Transfer) -> None:
        """Beside what the swarm brings."""
        await asyncio.wait([transfer.opened])
        while transfer.begun:
            try:
                await self._parts.bring(transfer)
            except EagleError as error:
                self._events.put_nowait(m.PartsFailed(error))
                return
            await transfer.arrival.changed()

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
                case m.ProbeParent(stripe, pause_s):
                    tasks.spawn(self._probe_parent(stripe, pause_s), name="download-probe")
                case m.WidenMesh(stripe):
                    self._means.metrics.fallbacks.labels("mesh").inc()
                    self._dial(stripe, self._peers(stripe)[:_MESH])
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
                self._dialled_for.pop(index, None)
                self._to_dial.pop(index, None)
                self._prepared.discard(index)
                transfer.fetching.pop(info_hash, None)
                log.debug("%s: segment %d finished", self._blob.digest, index)
                self._means.announces.withdraw(self._torrents[index].info_hash)
                await transfer.segment_written(index, self._torrents[index])
                return m.SegmentArrived(index)
            case TorrentFailed():
                if event.disk_full:
                    raise NoSpace(f"the disk is full: {event.reason}")
                raise Unavailable(event.reason)
            case PeerLost(_, host, port):
                return self._parent_lost((host, port))
            case PieceRejected():
                log.warning("%s: a peer sent a wrong piece %d", self._blob.digest, event.piece)
                return None
            case m.PartsFailed():
                return event
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
        return m.BytesArrived(index)

    def _parent_lost(self, endpoint: tuple[str, int]) -> m.Event | None:
        """Tell of every stripe whose parent that was."""
        for stripe in range(len(self._stripes)):
            parent = self._feeder(stripe)
            if parent is not None and endpoint == (parent.host, parent.port):
                self._events.put_nowait(m.ParentLost(stripe))
        return None

    def _index_of(self, info_hash: bytes) -> int | None:
        for index in self._prepared:
            if self._torrents[index].info_hash == info_hash:
                return index
        return None

    def _prepare_segment(self, index: int, transfer: Transfer) -> None:
        torrent = self._torrents[index]
        transfer.reserve(index)
        transfer.arrival.writing.add(index)
        self._prepared.add(index)
        transfer.fetching[torrent.info_hash] = index
        self._means.announces.offer(torrent.info_hash, partial(self._parent, index))
        self._means.swarm.prepare(
            torrent, transfer.arrival.directory.path, observer=self._events.put_nowait
        )

    def _start_segment(self, index: int) -> None:
        self._active[index] = 0
        log.debug("%s: segment %d started", self._blob.digest, index)
        trackers = [self._means.announces.url, *self._means.trackers()]
        self._means.swarm.start(self._torrents[index].info_hash, trackers)

    def _stripe_of(self, index: int) -> int:
        return index % len(self._stripes)

    def _peers(self, stripe: int) -> Sequence[PeerAddress]:
        return self._stripes[stripe % len(self._stripes)]

    def _feeder(self, stripe: int) -> PeerAddress | None:
        """Whom the oldest active segment of a stripe was started with, else its parent."""
        for index in sorted(self._active):
            if self._stripe_of(index) == stripe and index in self._dialled_for:
                return self._dialled_for[index]
        return next(iter(self._peers(stripe)), None)

    async def _parent(self, index: int) -> Sequence[PeerAddress]:
        await self._planned.wait()
        peers = self._to_dial.pop(index, None) or self._peers(self._stripe_of(index))[:1]
        self._dialled.update(peers)
        if peers and index in self._active:
            self._dialled_for[index] = peers[0]
        return peers

    async def _probe_parent(self, stripe: int, pause_s: float) -> None:
        """Tell a parent that is gone or frozen from one that has nothing, or hung up once."""
        await asyncio.sleep(pause_s)
        parent = self._feeder(stripe)
        if parent is None:
            return
        if await answers(parent):
            self._dial(stripe, (parent,))
        elif parent == self._feeder(stripe):
            self._events.put_nowait(m.ParentGone(stripe))

    async def _plan(self, asked: m.AskPlan, transfer: Transfer) -> None:
        """Ask the tracker whom to connect to, and dial for what is active already."""
        if asked.parent_failed and (parent := self._feeder(asked.stripe)) is not None:
            blamed = self._gone if asked.gone else self._failed
            if parent.node_id != _UNKNOWN and parent.node_id not in blamed:
                blamed.append(parent.node_id)
            self._means.metrics.fallbacks.labels("parent").inc()
            log.info("%s: no progress from %s:%d", self._blob.digest, parent.host, parent.port)
        try:
            self._take(await self._means.tracker.plan(self._request(transfer)))
        except Unavailable as error:
            log.warning("no plan for %s: %s", self._blob.digest, error)
            if asked.parent_failed:
                self._stripes = [(*peers[1:], *peers[:1]) for peers in self._stripes]
        if asked.parent_failed:
            self._dial(asked.stripe, self._peers(asked.stripe)[:1])
        self._events.put_nowait(m.Planned(len(self._stripes)))
        await self._measure_parents()

    async def _measure_parents(self) -> None:
        """Find out how far those are from whom this node downloads for the first time."""
        parents = {peers[0].host: peers[0] for peers in self._stripes if peers}
        for host in self._means.window.draws_on(self, parents):
            if (found := await round_trip_s(parents[host])) is not None:
                self._means.window.measured(host, found)

    def _request(self, transfer: Transfer, *, after: str = "") -> PlanRequest:
        return PlanRequest(
            node=self._means.node(),
            digest=self._blob.digest,
            size=transfer.arrival.layout.size,
            failed=tuple(self._failed),
            gone=tuple(self._gone),
            partial=not transfer.arrival.whole_wanted,
            after=after,
        )

    def _take(self, plan: Plan) -> None:
        """Segments that are started from here on have the plan's parents."""
        own = self._means.node().node_id
        if plan.stripes:
            self._stripes = [[p for p in peers if p.node_id != own] for peers in plan.stripes]
        self._revision = plan.revision
        if any(self._stripes):
            self._planned.set()

    async def _follow_plan(self, transfer: Transfer, machine: Download) -> None:
        """Take over what the tracker changes in the plan while the download runs."""
        await self._planned.wait()
        while True:
            before = self._revision
            try:
                plan = await self._means.tracker.plan(self._request(transfer, after=before))
            except Unavailable:
                await asyncio.sleep(_REPLAN_S)
                continue
            if plan.revision != before:
                self._take(plan)
                self._events.put_nowait(m.Planned(len(self._stripes)))
                await self._measure_parents()
                for stripe, quiet_s in enumerate(machine.quiet_s(self._means.clock())):
                    if quiet_s >= _SUSPICIOUS_S:
                        self._dial(stripe, self._peers(stripe)[:1])
            await asyncio.sleep(_REPLAN_PAUSE_S)

    def _dial(self, stripe: int, peers: Sequence[PeerAddress]) -> None:
        """Have what is active of a stripe ask whom to dial, and be told of ``peers``."""
        for index in self._active if peers else ():
            if self._stripe_of(index) == stripe % len(self._stripes):
                self._to_dial[index] = peers
                self._means.swarm.announce(self._torrents[index].info_hash)

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
        """Have the seeder tell of what is wanted, and again of more when more is wanted."""
        while True:
            whole = transfer.arrival.whole_wanted if transfer.begun else not transfer.piecemeal
            wanted = tuple(transfer.arrival.missing()) if transfer.begun else ()
            async with TaskSet() as tasks:
                call = self._failure_of(self._read_once(seeder, transfer, wanted, whole=whole))
                reading = tasks.spawn(call, name="metainfo-call")
                if not whole:
                    more = tasks.spawn(self._more_than(wanted, transfer), name="metainfo-demand")
                    await asyncio.wait([reading, more], return_when=asyncio.FIRST_COMPLETED)
                    if not reading.done():
                        continue
                if (error := await reading) is not None:
                    raise error
                if whole:
                    return
                await more

    async def _failure_of(self, call: Awaitable[None]) -> EagleError | None:
        try:
            await call
        except EagleError as error:
            return error
        return None

    async def _more_than(self, wanted: Sequence[int], transfer: Transfer) -> None:
        """Wait until the whole is wanted, or a segment that is not among ``wanted``."""
        await asyncio.wait([transfer.opened])
        asked = set(wanted)
        while not transfer.arrival.whole_wanted and asked.issuperset(transfer.arrival.missing()):
            await transfer.arrival.changed()

    async def _read_once(
        self, seeder: Address, transfer: Transfer, wanted: Sequence[int], *, whole: bool
    ) -> None:
        request = FetchRequest(
            registry=self._blob.repository.registry,
            repository=self._blob.repository.name,
            digest=self._blob.digest,
            authorization=self._shown(seeder),
            node_id=self._means.node().node_id,
            layout_version=LAYOUT_VERSION,
            request_id=request_id.get(),
            first=tuple(wanted[:_FIRST_SEGMENTS] if whole else wanted),
            only_first=not whole,
            path=self._blob.served_at,
        )
        about = {**self._blob.attributes, **peer_attributes(seeder)}
        with span("seeder stream", "client", about):
            async for reply in self._means.metainfo.fetch_from(seeder, request):
                await self._hear(reply, seeder, transfer)

    async def _hear(self, reply: FetchReply, seeder: Address, transfer: Transfer) -> None:
        match reply:
            case LayoutEvent(size=size, version=version, swarm_port=port):
                if version != LAYOUT_VERSION:
                    raise Unavailable(f"seeder {seeder} speaks layout version {version}")
                await self._begin(size, transfer, swarmed=True)
                self._fall_back_to(seeder, port)
            case SegmentEvent(index=index, layer=layer):
                self._learn(index, layer, transfer)
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
        self._events.put_nowait(_wanted(transfer))

    def _fall_back_to(self, seeder: Address, port: int) -> None:
        """Without a plan the seeder itself is the parent."""
        with suppress(ValueError):
            if not self._planned.is_set() and port:
                fallback = PeerAddress(node_id=_UNKNOWN, host=_ip(seeder.host), port=port)
                asyncio.get_running_loop().call_later(1.0, self._use_fallback, fallback)

    def _use_fallback(self, seeder: PeerAddress) -> None:
        if not self._planned.is_set():
            self._stripes = ((seeder,),)
            self._planned.set()
            self._dial(0, (seeder,))

    def _learn(self, index: int, layer: bytes, transfer: Transfer) -> None:
        segments = transfer.arrival.layout.segments
        if index >= len(segments):
            raise Unavailable(f"a seeder named segment {index} of {len(segments)}")
        if index not in self._torrents:
            self._torrents[index] = assemble_torrent(
                layer,
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
        before = m.Wanted(())
        while True:
            wanted = _wanted(transfer)
            if wanted != before:
                self._events.put_nowait(wanted)
            before = wanted
            await transfer.arrival.changed()

    async def _tick(self, machine: Download) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            parents = tuple(
                self._parent_state(stripe) if quiet_s >= _SUSPICIOUS_S else m.Parent.HOLDING
                for stripe, quiet_s in enumerate(machine.quiet_s(self._means.clock()))
            )
            self._events.put_nowait(m.Ticked(parents))

    def _parent_state(self, stripe: int) -> m.Parent:
        """What those whom this node has dialled could send; its children are not among them."""
        dialled = {(peer.host, peer.port) for peer in self._dialled}
        offers = [
            has_more
            for index in self._active
            if self._stripe_of(index) == stripe
            for endpoint, has_more in self._means.swarm.offers(self._torrents[index].info_hash)
            if endpoint in dialled
        ]
        if not offers:
            return m.Parent.GONE
        return m.Parent.HOLDING if any(offers) else m.Parent.STARVED

    def _release(self, transfer: Transfer) -> None:
        """Leave the torrents that did not finish."""
        self._means.window.released(self)
        for index in self._prepared:
            info_hash = self._torrents[index].info_hash
            self._means.announces.withdraw(info_hash)
            self._means.swarm.remove(info_hash)
            transfer.arrival.writing.discard(index)
        self._prepared.clear()
        transfer.fetching.clear()
        self._active.clear()
        self._dialled_for.clear()
        self._to_dial.clear()
        if transfer.begun:
            transfer.arrival.woke()


def _wanted(transfer: Transfer) -> m.Wanted:
    arrival = transfer.arrival
    return m.Wanted(tuple(arrival.missing()), parts=bool(arrival.missing_parts()))


def _ip(host: str) -> str:
    import ipaddress

    return str(ipaddress.ip_address(host))
