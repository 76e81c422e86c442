"""The tracker's live state: nodes, waves and strangers. No IO; time is an argument.

What outlives a restart is in the table; the caller writes it there before it tells the machine, and
loads a wave (`load`) before it asks for a plan or an announce of its blob.
"""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from eagle_node.base.digest import Digest
from eagle_node.base.ids import InfoHash, NodeId
from eagle_node.base.rendezvous import ranked
from eagle_node.blobs.segments import layout_of
from eagle_node.tracker.bitmap import fits
from eagle_node.tracker.distance import Place, distance, place_of
from eagle_node.tracker.gauging import Gauging
from eagle_node.tracker.health import Known
from eagle_node.tracker.line import ShapeFor
from eagle_node.tracker.plan import shape_for
from eagle_node.tracker.schema import (
    Advert,
    NodeInfo,
    PeerAddress,
    Plan,
    PlanRequest,
    address_of,
)
from eagle_node.tracker.strangers import Strangers
from eagle_node.tracker.wave import Wave
from eagle_node.tracker.wire import Announce, Event, SwarmPeer, Tally

STAND_BACK_S = 0.5
"""Seconds in which most of those who pull at once have asked. Less than a node without a plan waits
before it turns to the seeder."""
_WORTH = 10
"""Times `STAND_BACK_S` that a blob takes a slow node for it to stand back."""

WaveKey = tuple[str, Digest, int]
"""Group, blob and its bytes: groups do not see each other, nor do nodes to whom a registry, or a
liar, has told different sizes of a blob."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Torrent:
    """What an info-hash stands for."""

    info_hash: InfoHash
    digest: Digest
    size: int
    """Bytes of the whole blob."""
    segment: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRow:
    """A holding as the table gives it."""

    node_id: NodeId
    have: bytes | None
    port: int = 0


class Machine:
    """Nodes that miss two intervals disappear, with everything that is known of them."""

    def __init__(self, *, interval_s: float, shape: ShapeFor = shape_for) -> None:
        self._interval_s = interval_s
        self._shape = shape
        self._nodes: dict[NodeId, Known] = {}
        self._addresses: dict[tuple[str, int], NodeId] = {}
        """Swarm listeners of the nodes: tells their announces from strangers'."""
        self._gauging = Gauging(self._nodes)
        self._seeders: set[NodeId] = set()
        self._waves: dict[WaveKey, Wave] = {}
        self._waves_of: dict[NodeId, set[WaveKey]] = {}
        """In which waves a node is a source; every node has an entry."""
        self._strangers = Strangers()
        self._changed: set[tuple[WaveKey, NodeId]] = set()

    def take_changed(self) -> set[tuple[WaveKey, NodeId]]:
        """Whose plans have changed since this was last asked, and for which blob."""
        changed, self._changed = self._changed, set()
        return changed

    def restore(self, nodes: Iterable[NodeInfo], now: float) -> None:
        """Nodes of a former run; they have two intervals to call."""
        for node in nodes:
            self._register(node, now).told = True

    def is_loaded(self, key: WaveKey) -> bool:
        """Whether the holders of a blob are in memory."""
        return key in self._waves

    def load(self, key: WaveKey, rows: Iterable[HeldRow], now: float) -> None:
        """Take in all holders of a blob."""
        self._waves[key] = Wave(
            key[2],
            now,
            lambda node_id: self._changed.add((key, node_id)),
            self._shape,
            elsewhere=lambda node_id: self._is_busy(node_id, but=key),
        )
        segments = len(layout_of(key[2]).segments)
        for row in rows:
            known = self._nodes.get(row.node_id)
            if row.have is not None and not fits(row.have, segments):
                continue
            if known is not None and known.info.group == key[0]:
                self._hold(key, known, row.have, now, port=row.port)

    def plan(self, request: PlanRequest, now: float) -> Plan:
        """Peers for a node that downloads a loaded blob, per stripe and parent first.

        Who is said to be gone leaves the wave at once, its children take its place; a call of its
        own brings it back.
        """
        known = self._register(request.node, now)
        known.called = now
        key = key_of(request)
        wave = self._waves[key]
        gone = self._still_gone(request, now)
        for node_id in gone:
            if (accused := self._nodes.get(node_id)) is not None:
                accused.gone = True
            if key in self._waves_of.get(node_id, ()):
                self._drop(key, node_id)
        if not wave.has_seeder_for(request.node.node_id):
            self._expect_seeder(key, known, but=gone)
        self._waves_of[request.node.node_id].add(key)
        failed = frozenset((*request.failed, *gone))
        peers = wave.join(known, failed, now, partial=request.partial, done=request.done)
        return self._plan(peers)

    def lets_others_in(self, request: PlanRequest) -> bool:
        """Whether a node should wait `STAND_BACK_S` before it asks for its first plan.

        Slow ones hang on the last of the others: whoever is last for a moment only would feed them
        by the uplink that those behind it wait for.
        """
        known, wave = self._nodes.get(request.node.node_id), self._waves.get(key_of(request))
        if known is None or wave is None or wave.uses(request.node.node_id):
            return False
        if request.size < _WORTH * STAND_BACK_S * known.rated.upload_rate:
            return False
        return self._gauging.seems_slow(known)

    def current_plan(self, request: PlanRequest, now: float) -> Plan:
        """What has become of a plan; without stripes for a node that was dropped, or is done.

        It brings nobody back: who asked may be dead since.
        """
        wave = self._waves.get(key_of(request))
        return self._plan(wave.peers(request.node.node_id, now) if wave else ())

    def advertise(self, advert: Advert, now: float) -> bool:
        """Take in what a node holds; whether the node should say everything that it holds."""
        known = self._register(advert.node, now)
        strange, known.told, known.called = not known.told, True, now
        for each in advert.gauged:
            for one in self._gauging.take_in(known, each, now):
                for key in self._waves_of[one.info.node_id]:
                    self._waves[key].rate(one, now)
        node_id, group = advert.node.node_id, advert.node.group
        gone = {key for key in self._waves_of[node_id] if key[1] in advert.dropped}
        if advert.full:
            recent = now - self._interval_s
            named = {(group, held.digest, held.size) for held in advert.held}
            gone |= {
                key
                for key in self._waves_of[node_id] - named
                if not self._waves[key].is_downloading(node_id, recent)
            }
        for key in gone:
            self._drop(key, node_id)
        for held in advert.held:
            if (key := (group, held.digest, held.size)) in self._waves:
                self._hold(key, known, held.have, now, fetching=held.fetching, port=held.port)
        return strange and not advert.full

    def gauges_for(self, node_id: NodeId, now: float) -> tuple[PeerAddress, ...]:
        """Against whom a node should measure its link."""
        known = self._nodes.get(node_id)
        if known is None:
            return ()
        return tuple(map(address_of, self._gauging.partners(known, now, self._is_busy)))

    def announce(
        self, announce: Announce, torrent: Torrent, now: float
    ) -> tuple[list[SwarmPeer], Tally]:
        """Peers for a BitTorrent client, nearest first, and how many there are."""
        node_id = self._addresses.get((announce.host, announce.port))
        if node_id is None:
            self._strangers.announce(announce, now)
        known = self._nodes[node_id].info if node_id else None
        place = place_of(known) if known else Place(announce.host)
        wave = self._waves[(self.group_of(announce), torrent.digest, torrent.size)]
        wave.used = now
        peers = {
            (s.peer.host, s.peer.port): s.peer
            for s in self._strangers.peers(torrent.info_hash)
            if announce.left or not s.complete
        }
        places = {at: Place(peer.host) for at, peer in peers.items()}
        holders = list(wave.holding(torrent.segment))
        for node in holders if announce.left else ():
            at = node.host, node.port
            peers[at], places[at] = SwarmPeer(host=node.host, port=node.port), place_of(node)
        peers.pop((announce.host, announce.port), None)
        wanted = 0 if announce.event is Event.STOPPED else announce.wanted
        nearest = heapq.nsmallest(wanted, peers, key=lambda at: (distance(places[at], place), at))
        strangers = self._strangers.tally(torrent.info_hash)
        tally = replace(strangers, complete=strangers.complete + len(holders))
        return [peers[at] for at in nearest], tally

    def announce_other(
        self, announce: Announce, now: float
    ) -> tuple[list[SwarmPeer], Tally] | None:
        """The same for a torrent that is no segment; None unless a node has announced it.

        Such are whole blobs, which nodes offer to strangers: all are known by announces only.
        """
        at = announce.host, announce.port
        if at not in self._addresses and not any(self._strangers.peers(announce.info_hash)):
            return None
        self._strangers.announce(announce, now)
        peers = {
            (s.peer.host, s.peer.port): s.peer
            for s in self._strangers.peers(announce.info_hash)
            if announce.left or not s.complete
        }
        peers.pop(at, None)
        wanted = 0 if announce.event is Event.STOPPED else announce.wanted
        return list(peers.values())[:wanted], self._strangers.tally(announce.info_hash)

    def scrape(self, torrent: Torrent, group: str) -> Tally:
        """How many have a torrent of a loaded blob, and how many strangers are getting it."""
        strangers = self._strangers.tally(torrent.info_hash)
        wave = self._waves[(group, torrent.digest, torrent.size)]
        holders = sum(1 for _ in wave.holding(torrent.segment))
        return replace(strangers, complete=strangers.complete + holders)

    def group_of(self, announce: Announce) -> str:
        """The group that an announcing client belongs to; strangers are in the unnamed one."""
        node_id = self._addresses.get((announce.host, announce.port))
        return self._nodes[node_id].info.group if node_id else ""

    def nodes(self) -> list[NodeInfo]:
        """All live nodes."""
        return [known.info for known in self._nodes.values()]

    def node(self, node_id: NodeId) -> NodeInfo | None:
        """A live node."""
        known = self._nodes.get(node_id)
        return known.info if known else None

    def expire(self, now: float) -> list[NodeId]:
        """Forget who missed two intervals, and waves that nobody asks for; the nodes forgotten."""
        before = now - 2 * self._interval_s
        gone = [node_id for node_id, known in self._nodes.items() if known.seen < before]
        for node_id in gone:
            self._leave(node_id)
            self._forget(self._nodes.pop(node_id).info)
            del self._waves_of[node_id]
        self._strangers.expire(before)
        for key, wave in list(self._waves.items()):
            if wave.used < before and not wave.downloading:
                for node_id in wave:
                    self._waves_of[node_id].discard(key)
                del self._waves[key]
        return gone

    def check(self) -> None:
        """Assert that waves, their sources and the nodes agree."""
        assert self._nodes.keys() == self._waves_of.keys()
        assert self._seeders == {n for n, known in self._nodes.items() if known.info.seeder}
        for (host, port), node_id in self._addresses.items():
            assert (self._nodes[node_id].info.host, self._nodes[node_id].info.port) == (host, port)
        for node_id, keys in self._waves_of.items():
            assert all(node_id in self._waves[key] for key in keys)
            assert all(key[0] == self._nodes[node_id].info.group for key in keys)
        for key, wave in self._waves.items():
            wave.check()
            assert len(wave) == sum(key in keys for keys in self._waves_of.values())

    def parents_of(self, node: NodeInfo, digest: Digest) -> tuple[NodeId | None, ...]:
        """Whom ``node`` takes each stripe of a blob from."""
        waves = (wave for key, wave in self._waves.items() if key[:2] == (node.group, digest))
        return next((wave.parents_of(node.node_id) for wave in waves if node.node_id in wave), ())

    def _plan(self, stripes: Iterable[Iterable[NodeInfo]]) -> Plan:
        addresses = tuple(tuple(address_of(peer) for peer in peers) for peers in stripes)
        revision = _revision(addresses) if addresses else ""
        return Plan(stripes=addresses, interval_s=self._interval_s, revision=revision)

    def _still_gone(self, request: PlanRequest, now: float) -> list[NodeId]:
        """Those that have not called since nobody answered there, as far as this tracker knows."""
        silent = []
        for each in request.gone:
            known = self._nodes.get(each.node_id)
            if known is None or known.called <= now - each.ago_s:
                silent.append(each.node_id)
        return [node_id for node_id in silent if node_id != request.node.node_id]

    def _register(self, info: NodeInfo, now: float) -> Known:
        """The node, heard of now; what it holds is not known if it has moved."""
        known = self._nodes.get(info.node_id)
        if known is None:
            known = self._nodes[info.node_id] = Known(info, now)
            self._waves_of[info.node_id] = set()
            self._remember(info)
            return known
        known.seen, known.gone = now, False
        if known.info == info:
            return known
        if replace(known.info, upload_rate=info.upload_rate, seeder=info.seeder) == info:
            self._update(known, info, now)
            return known
        self._leave(info.node_id)
        self._forget(known.info)
        known.info, known.told = info, False
        self._remember(info)
        return known

    def _update(self, known: Known, info: NodeInfo, now: float) -> None:
        """The node goes on with another rate, or another role: what it holds stays."""
        self._forget(known.info)
        known.info = info
        self._remember(info)
        for key in list(self._waves_of[info.node_id]):
            if not self._waves[key].describe(known, now):
                self._drop(key, info.node_id)

    def _is_busy(self, node_id: NodeId, but: WaveKey | None = None) -> bool:
        """Whether a wave, another one than ``but``, uses the node's link."""
        return any(self._waves[k].uses(node_id) for k in self._waves_of[node_id] if k != but)

    def _remember(self, info: NodeInfo) -> None:
        self._gauging.add(info)
        self._addresses[(info.host, info.port)] = info.node_id
        if info.seeder:
            self._seeders.add(info.node_id)

    def _forget(self, info: NodeInfo) -> None:
        self._gauging.discard(info)
        self._seeders.discard(info.node_id)
        if self._addresses.get((info.host, info.port)) == info.node_id:
            del self._addresses[(info.host, info.port)]

    def _hold(
        self,
        key: WaveKey,
        known: Known,
        have: bytes | None,
        now: float,
        *,
        fetching: bool = False,
        port: int = 0,
    ) -> None:
        self._waves[key].hold(known, have, now, fetching=fetching, port=port)
        self._waves_of[known.info.node_id].add(key)

    def _drop(self, key: WaveKey, node_id: NodeId) -> None:
        self._waves[key].drop(node_id)
        self._waves_of[node_id].discard(key)

    def _leave(self, node_id: NodeId) -> None:
        for key in list(self._waves_of[node_id]):
            self._drop(key, node_id)

    def _expect_seeder(self, key: WaveKey, joiner: Known, *, but: Collection[NodeId]) -> None:
        """The seeder that the digest's rendezvous hash selects will have the blob soon."""
        group, digest, _ = key
        seeders = [
            node_id
            for node_id in self._seeders
            if (known := self._nodes[node_id]).info.group == group
            and known is not joiner
            and not known.gone
            and node_id not in but
        ]
        for node_id in ranked(digest, seeders)[:1]:
            if NodeId(node_id) not in self._waves[key]:
                self._waves[key].expect(self._nodes[NodeId(node_id)])
                self._waves_of[NodeId(node_id)].add(key)


def key_of(request: PlanRequest) -> WaveKey:
    """The wave that a node asks for a place in."""
    return request.node.group, request.digest, request.size


def _revision(stripes: Iterable[tuple[PeerAddress, ...]]) -> str:
    """Names the first of each stripe's peers."""
    firsts = ",".join(f"{peers[0].node_id}:{peers[0].port}" if peers else "-" for peers in stripes)
    return f"{zlib.crc32(firsts.encode()):08x}"
