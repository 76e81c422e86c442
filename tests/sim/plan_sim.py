"""A wave of many nodes through the real tracker machine, with the network as a fluid.

Every node has the same link both ways, unless its upload rate says less. A parent's uplink is
shared equally by the children that it has something for; what arrives at a hop can leave it
`Network.hop_s` later; the seeder shares a segment once the origin, at link speed, has sent all of
it. A child whose parent died asks for another after `Network.stall_s`. Time advances in steps of
half a hop for all nodes at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eagle_node.base.digest import Digest, digest_of
from eagle_node.base.ids import NodeId
from eagle_node.blobs.segments import layout_of
from eagle_node.tracker.bitmap import pack
from eagle_node.tracker.machine import Machine
from eagle_node.tracker.schema import Advert, Holding, NodeInfo, PlanRequest

BLOB: Digest = digest_of(b"the blob")
_MARKS = 16
"""Progress adverts of a node per blob."""
_CALL_S = 15.0
"""Seconds between a node's signs of life."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What all nodes have in common."""

    size: int
    rate: float
    """Bytes/s of every link, each way."""
    hop_s: float = 0.03
    stall_s: float = 3.0

    @property
    def direct_s(self) -> float:
        """Seconds that one download straight from the origin takes."""
        return self.size / self.rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A node of the simulation."""

    info: NodeInfo
    joins: float = 0.0
    dies: float = float("inf")


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What happened."""

    finished: dict[NodeId, float] = field(default_factory=dict)
    seeder_copies: float = 0.0
    """Blobs that the seeder sent."""
    zone_copies: dict[str, float] = field(default_factory=dict)
    """Blobs that entered each zone from another one."""
    plans: int = 0

    @property
    def last_s(self) -> float:
        """When the last node had the blob."""
        return max(self.finished.values())


def node(number: int, *, zone: str = "", seeder: bool = False, upload_rate: int = 0) -> NodeInfo:
    """The ``number``-th node."""
    return NodeInfo(
        node_id=NodeId(f"{number:032x}"),
        host=f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
        port=61007,
        zone=zone,
        seeder=seeder,
        upload_rate=upload_rate,
    )


def simulate(hosts: Sequence[Host], network: Network, *, limit_s: float) -> Outcome:
    """Run until every living host has the blob, or ``limit_s``; host 0 is the seeder."""
    return _Wave(hosts, network).run(limit_s)


class _Wave:
    def __init__(self, hosts: Sequence[Host], network: Network) -> None:
        self.hosts, self.network = hosts, network
        self.machine = Machine(interval_s=30.0)
        self.outcome = Outcome()
        self.index = {host.info.node_id: at for at, host in enumerate(hosts)}
        count = len(hosts)
        self.dt = network.hop_s / 2
        self.have: NDArray[np.float64] = np.zeros(count)
        self.past: NDArray[np.float64] = np.zeros((3, count))
        self.parent: NDArray[np.intp] = np.full(count, -1)
        self.since: NDArray[np.float64] = np.zeros(count)
        """When a node took its parent."""
        self.joined: NDArray[np.bool_] = np.zeros(count, dtype=bool)
        self.done: NDArray[np.bool_] = np.zeros(count, dtype=bool)
        self.dies: NDArray[np.float64] = np.array([host.dies for host in hosts])
        rates = [host.info.upload_rate or network.rate for host in hosts]
        self.uplink: NDArray[np.float64] = np.array(rates, dtype=np.float64)
        self.marks: NDArray[np.int64] = np.zeros(count, dtype=np.int64)
        self.failed: list[set[NodeId]] = [set() for _ in hosts]
        self.zones: NDArray[np.str_] = np.array([host.info.zone for host in hosts])
        self.entered: NDArray[np.float64] = np.zeros(count)
        self.from_seeder = 0.0
        self.ready = np.array([0, *(s.stop for s in layout_of(network.size).segments)], dtype=float)
        self._advertise(0, have=b"", now=0.0)
        self.joined[0] = self.done[0] = True

    def run(self, limit_s: float) -> Outcome:
        joins = sorted(range(1, len(self.hosts)), key=lambda at: self.hosts[at].joins, reverse=True)
        next_call = 0.0
        for tick in range(int(limit_s / self.dt)):
            now = tick * self.dt
            while joins and self.hosts[joins[-1]].joins <= now:
                at = joins.pop()
                self.joined[at] = True
                self._plan(at, now)
            self._flow(tick, now)
            self._replace_parents(now)
            if now >= next_call:
                self._call(now)
                next_call += _CALL_S
            if not joins and bool(np.all(self.done | (self.dies <= now))):
                break
        self._sum_up()
        return self.outcome

    def _flow(self, tick: int, now: float) -> None:
        size, rate = self.network.size, self.network.rate
        arrived = min(size, now * rate)
        self.have[0] = self.ready[np.searchsorted(self.ready, arrived, side="right") - 1]
        self.past[tick % 3] = self.have
        offered = self.past[(tick + 1) % 3][self.parent]
        alive = self.dies > now
        wanting = self.joined & ~self.done & alive & (self.parent >= 0)
        room = np.where(wanting & alive[self.parent], offered - self.have, 0.0)
        getting = room > 0
        shares = np.bincount(self.parent[getting], minlength=len(self.hosts))
        step = np.minimum(room, (self.uplink * self.dt / np.maximum(1, shares))[self.parent])
        step[~getting] = 0.0
        self.have += step
        self.from_seeder += float(step[self.parent == 0].sum())
        self.entered += np.where(self.zones != self.zones[self.parent], step, 0.0)
        marks = (self.have * _MARKS / size + 1e-9).astype(np.int64)
        for at in np.nonzero((marks > self.marks) & ~self.done)[0]:
            self._progress(int(at), now)
        self.marks = marks

    def _progress(self, at: int, now: float) -> None:
        if self.have[at] >= self.network.size - 1:
            self.done[at] = True
            self.outcome.finished[self.hosts[at].info.node_id] = now
            self._advertise(at, have=None, now=now)
            return
        segments = layout_of(self.network.size).segments
        whole = [segment.index for segment in segments if segment.stop <= self.have[at]]
        self._advertise(at, have=pack(whole, len(segments)), now=now)

    def _replace_parents(self, now: float) -> None:
        waited = now - np.maximum(self.since, self.dies[self.parent])
        stalled = (waited >= self.network.stall_s) | ((self.parent < 0) & (now >= self.since + 1))
        for at in np.nonzero(self.joined & ~self.done & (self.dies > now) & stalled)[0]:
            if self.parent[at] >= 0:
                self.failed[at].add(self.hosts[self.parent[at]].info.node_id)
            self._plan(int(at), now)

    def _plan(self, at: int, now: float) -> None:
        request = PlanRequest(
            node=self.hosts[at].info,
            digest=BLOB,
            size=self.network.size,
            failed=tuple(sorted(self.failed[at])),
        )
        peers = self.machine.plan(request, now).peers
        self.parent[at] = self.index[peers[0].node_id] if peers else -1
        self.since[at] = now
        self.outcome.plans += 1

    def _advertise(self, at: int, *, have: bytes | None, now: float) -> None:
        held = Holding(digest=BLOB, size=self.network.size, have=have)
        key = ("", BLOB)
        if not self.machine.is_loaded(key):
            self.machine.load(key, self.network.size, (), now)
        self.machine.advertise(Advert(node=self.hosts[at].info, held=(held,)), now)

    def _call(self, now: float) -> None:
        for at in np.nonzero(self.joined & (self.dies > now))[0]:
            self.machine.advertise(Advert(node=self.hosts[int(at)].info), now)
        self.machine.expire(now)
        self.machine.check()

    def _sum_up(self) -> None:
        size = self.network.size
        self.outcome.seeder_copies = self.from_seeder / size
        for zone in sorted(set(self.zones)):
            inside = self.entered[self.zones == zone]
            self.outcome.zone_copies[str(zone)] = float(inside.sum()) / size
