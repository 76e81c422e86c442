"""A wave of many nodes through the real tracker machine, with the network as a fluid.

Each node gets each stripe in the order of its segments from one parent; uplinks, downlinks and the
borders of zones are shared by the flows that have something to carry (`plan_fluid`). What arrives
at a node can leave it `Network.hop_s` later, or `Network.level_s` if it feeds several. The seeder
shares a segment once the origin, at link speed, has sent all of it. A node hears of new parents
`Network.hint_s` after they have changed, and takes them for the next segment of the stripe. It
notices a parent's end after `Network.probe_s`, a silent one after `Network.stall_s`; when its
parent has had nothing new for twice as long, it takes one segment from any peer of its plan that
has more. Links may be unequal without saying so; nodes have measured them then (`Network.gauged`),
as the tracker told them to, more or less well. Time advances by half a hop for all nodes at once.

``python -m tests.sim.plan_sim --compare`` compares shapes of the trees.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eagle_node.base.digest import Digest, digest_of
from eagle_node.base.ids import NodeId
from eagle_node.tracker.machine import STAND_BACK_S, Machine
from eagle_node.tracker.plan import Shape
from eagle_node.tracker.schema import Advert, Gauged, Gone, Holding, Plan, PlanRequest
from tests.sim.plan_fluid import TRIFLE, Floats, Indices, deal
from tests.sim.plan_hosts import Host, Network, Outcome
from tests.sim.plan_lanes import Lanes

BLOB: Digest = digest_of(b"the blob")
_PROGRESS_S = 4.0
"""Between adverts of a node while it downloads."""
_CALL_S = 15.0
"""Seconds between a node's signs of life."""
_SUSPICIOUS_S = 0.75
"""Quiet seconds after which a new parent is dialled for what is under way, as the peer does."""
_PATIENCE_S = 2.0
"""Seconds after which it is dialled in any case."""
_NOBODY = -1
_LANES = 2
"""Parts of the blob that may come from different parents: as many as a plan has stripes at most."""


def simulate(
    hosts: Sequence[Host], network: Network, *, limit_s: float, shape: Shape | None = None
) -> Outcome:
    """Run until every living host has the blob, or ``limit_s``; host 0 is the seeder.

    ``shape``: of the trees, instead of what the plan says.
    """
    return Simulation(hosts, network, shape).run(limit_s)


class Simulation:
    """One wave. Arrays are by host, or by host and lane."""

    def __init__(self, hosts: Sequence[Host], network: Network, shape: Shape | None = None) -> None:
        self.hosts, self.network = hosts, network
        self.machine = (
            Machine(interval_s=30.0, shape=lambda *_: shape) if shape else Machine(interval_s=30.0)
        )
        self.machine.load(("", BLOB, network.size), (), 0.0)
        self.outcome = Outcome()
        self.index = {host.info.node_id: at for at, host in enumerate(hosts)}
        self.dt = network.hop_s / 2
        self.level_steps = round(network.level_s / self.dt)
        self.lanes = Lanes(network.size, shape.stripes if shape else _LANES)
        table = (len(hosts), len(self.lanes.lengths))
        self.have: Floats = np.zeros(table)
        self.past: Floats = np.zeros((max(2, self.level_steps), *table))
        self.parent: Indices = np.full(table, _NOBODY)
        self.coming: Indices = np.full(table, _NOBODY)
        """Parents from the next segment on."""
        self.heard: Floats = np.zeros(table)
        """When a node heard of them."""
        self.until: Floats = np.zeros(table)
        """Where in the stripe that segment begins."""
        self.moved: Floats = np.zeros(table)
        """When a lane last got something, or another parent, or could not get anything."""
        self.since: Floats = np.zeros(table)
        """When a node took its parent."""
        self.joined: NDArray[np.bool_] = np.zeros(len(hosts), dtype=bool)
        self.done: NDArray[np.bool_] = np.zeros(len(hosts), dtype=bool)
        self.dies: Floats = np.array([host.dies for host in hosts])
        noticed = [network.stall_s if host.silent else network.probe_s for host in hosts]
        self.noticed_s: Floats = np.array(noticed)
        self.link: Floats = np.array([host.rate or network.rate for host in hosts])
        phase = random.Random(network.seed)
        self.told: Floats = np.array([h.joins - phase.uniform(0, _PROGRESS_S) for h in hosts])
        """When a node last told how far it is."""
        self.failed: list[set[NodeId]] = [set() for _ in hosts]
        self.gone: list[set[NodeId]] = [set() for _ in hosts]
        self.zones, self.zone = np.unique([host.info.zone for host in hosts], return_inverse=True)
        self.entered: Floats = np.zeros(len(self.zones))
        self.chance = random.Random(network.seed)
        self.hints: dict[int, float] = {}
        """Who is to hear of new parents, and when; in the order of time."""
        if network.gauged:
            self._gauge_all()
        for at, host in enumerate(hosts):
            if at == 0 or host.warm:
                self.joined[at] = self.done[at] = True
                self.have[at] = self.lanes.lengths if host.warm else 0.0
                self._advertise(at, have=None if host.warm else b"", now=0.0)

    def run(self, limit_s: float) -> Outcome:
        """Run to the end."""
        cold = [at for at in range(1, len(self.hosts)) if not self.hosts[at].warm]
        joins = sorted(cold, key=lambda at: self.hosts[at].joins, reverse=True)
        next_call = 0.0
        settled = math.inf
        late: dict[int, float] = {}
        """Nodes whose first plan the tracker holds back, and until when."""
        for tick in range(int(limit_s / self.dt)):
            now = tick * self.dt
            while joins and self.hosts[joins[-1]].joins <= now:
                at = joins.pop()
                self.joined[at] = True
                if self.machine.lets_others_in(self._request(at)):
                    late[at] = now + STAND_BACK_S
                    continue
                self._plan(at, now)
                settled = now + 2 * self.network.hint_s
            for at in [at for at, when in late.items() if when <= now]:
                del late[at]
                self._plan(at, now)
                settled = now + 2 * self.network.hint_s
            self._flow(tick, now)
            self._switch(now)
            self._replace_dead(now)
            self._relieve_starved(now)
            self._hear(now)
            if now >= next_call:
                self._call(now)
                next_call += _CALL_S
            if not joins and now >= settled:
                self.outcome.depth, settled = self._depth(), math.inf
            if not joins and bool(np.all(self.done | (self.dies <= now))):
                break
        self._sum_up()
        return self.outcome

    def _flow(self, tick: int, now: float) -> None:
        arrived = min(self.network.size, now * self.network.rate)
        self.have[0] = self.lanes.ready(arrived)
        self.past[tick % len(self.past)] = self.have
        alive = self.dies > now
        room = self._offered(tick) - self.have
        getting = (room > TRIFLE) & (self.parent >= 0) & alive[self.parent]
        getting &= (self.joined & ~self.done & alive)[:, None]
        child, lane = np.nonzero(getting)
        parent = self.parent[child, lane]
        step = deal(room[child, lane], self._bottlenecks(parent, child))
        self.have[child, lane] += step
        self.outcome.seeder_copies += float(step[parent == 0].sum()) / self.network.size
        abroad = self.zone[parent] != self.zone[child]
        self.entered += np.bincount(
            self.zone[child[abroad]], weights=step[abroad], minlength=len(self.zones)
        )
        idle = self.have >= self.have[0] - TRIFLE
        self.moved[idle] = now
        self.moved[child, lane] = now
        self._report(now)

    def _offered(self, tick: int) -> Floats:
        """What each parent can pass on by now."""
        fed = np.zeros(len(self.hosts), dtype=np.int64)
        for lane in range(self.parent.shape[1]):
            parent = self.parent[:, lane]
            again = (self.parent[:, :lane] == parent[:, None]).any(axis=1)
            fed += np.bincount(
                parent[(parent >= 0) & ~again & ~self.done], minlength=len(self.hosts)
            )
        steps = np.where(fed > 1, self.level_steps, 2)[self.parent]
        lanes = np.arange(self.parent.shape[1])
        offered: Floats = self.past[(tick + 1 - steps) % len(self.past), self.parent, lanes]
        return offered

    def _bottlenecks(self, parent: Indices, child: Indices) -> list[tuple[Indices, Floats]]:
        link = self.link * self.dt
        pipes: list[tuple[Indices, Floats]] = [(parent, link), (child, link)]
        if math.isfinite(self.network.border_rate):
            within = len(self.zones)
            border = np.full(within + 1, self.network.border_rate * self.dt)
            border[within] = math.inf
            source, target = self.zone[parent], self.zone[child]
            pipes += [(np.where(source == target, within, at), border) for at in (source, target)]
        return pipes

    def _report(self, now: float) -> None:
        total = self.have.sum(axis=1)
        whole = total >= self.network.size - 1
        due = self.joined & (whole | (now - self.told >= _PROGRESS_S))
        self.told[due] = now
        if due[0] and not self.hosts[0].warm and not whole[0]:
            have = self.lanes.bitmap(self.have[0])
            self._advertise(0, have=have, now=now, fetching=True)
        for at in np.nonzero(due & ~self.done & (self.dies > now))[0]:
            if whole[at]:
                self.done[at] = True
                self.outcome.finished[self.hosts[int(at)].info.node_id] = now
                self._advertise(int(at), have=None, now=now)
            else:
                self._advertise(int(at), have=self.lanes.bitmap(self.have[at]), now=now)

    def _switch(self, now: float) -> None:
        """Take the parents that were hinted at, where the segment under way has ended."""
        due = (self.coming >= 0) & (self.have >= self.until - TRIFLE)
        due |= (self.coming >= 0) & (now - self.moved >= _SUSPICIOUS_S)
        due |= (self.coming >= 0) & (now - self.heard >= _PATIENCE_S)
        self.parent[due] = self.coming[due]
        self.coming[due] = _NOBODY
        self.since[due] = self.moved[due] = now

    def _wanting(self, now: float) -> NDArray[np.bool_]:
        nodes = self.joined & ~self.done & (self.dies > now)
        wanting: NDArray[np.bool_] = nodes[:, None] & (self.have < self.lanes.lengths - TRIFLE)
        return wanting

    def _replace_dead(self, now: float) -> None:
        died = np.maximum(self.since, self.dies[self.parent])
        noticed = now - died >= self.noticed_s[self.parent]
        for at, lane in np.argwhere(self._wanting(now) & noticed & (self.parent >= 0)):
            parent = self.parent[at, lane]
            if self.dies[parent] > now or self.done[at]:
                continue
            blamed = self.failed if self.hosts[int(parent)].silent else self.gone
            blamed[at].add(self.hosts[int(parent)].info.node_id)
            self._plan(int(at), now)

    def _relieve_starved(self, now: float) -> None:
        quiet = now - self.moved >= 2 * self.network.stall_s
        for at, lane in np.argwhere(self._wanting(now) & quiet):
            stripes = self._plan(int(at), now).stripes
            peers = [self.index[peer.node_id] for peer in stripes[lane % len(stripes)]]
            ahead = (p for p in peers if self.have[p, lane] > self.have[at, lane] + TRIFLE)
            other = next((p for p in ahead if self.dies[p] > now), _NOBODY)
            if other != _NOBODY:
                self.coming[at, lane] = self.parent[at, lane]
                self.until[at, lane] = self.lanes.next_end(lane, self.have[at, lane] + 1)
                self.heard[at, lane] = now
                self.parent[at, lane] = other
            self.moved[at, lane] = now
            self.outcome.starved += 1

    def _plan(self, at: int, now: float) -> Plan:
        """Ask as a node that joins, or that complains: at once, and for all that is under way."""
        plan = self.machine.plan(self._request(at), now)
        self.hints.pop(at, None)
        parents = self._firsts(plan)
        changed = parents != self.parent[at]
        self.parent[at] = parents
        self.coming[at] = _NOBODY
        self.since[at, changed] = self.moved[at, changed] = now
        self.outcome.plans += 1
        self._note_changes(now, besides=at)
        return plan

    def _hear(self, now: float) -> None:
        """Take over changed plans, for the segments that are started from here on."""
        for at in [at for at, when in self.hints.items() if when <= now]:
            del self.hints[at]
            if self.done[at] or self.dies[at] <= now:
                continue
            self.outcome.hints += 1
            plan = self.machine.current_plan(self._request(at), now)
            if not plan.stripes:
                self._plan(at, now)
                continue
            for lane, parent in enumerate(self._firsts(plan)):
                self.coming[at, lane] = parent if parent != self.parent[at, lane] else _NOBODY
                self.until[at, lane] = self.lanes.next_end(lane, self.have[at, lane])
                self.heard[at, lane] = now

    def _note_changes(self, now: float, besides: int) -> None:
        for _, node_id in self.machine.take_changed():
            at = self.index[node_id]
            if at != besides and self.joined[at]:
                self.hints.setdefault(at, now + self.network.hint_s)

    def _firsts(self, plan: Plan) -> Indices:
        """The parent of each lane; a plan may have fewer stripes than there are lanes."""
        firsts = [self.index[peers[0].node_id] if peers else _NOBODY for peers in plan.stripes]
        lanes = range(self.parent.shape[1])
        return np.array([firsts[lane % len(firsts)] for lane in lanes], dtype=np.intp)

    def _request(self, at: int) -> PlanRequest:
        return PlanRequest(
            node=self.hosts[at].info,
            digest=BLOB,
            size=self.network.size,
            failed=tuple(sorted(self.failed[at])),
            gone=tuple(Gone(node_id=each) for each in sorted(self.gone[at])),
        )

    def _advertise(
        self, at: int, *, have: bytes | None, now: float, fetching: bool = False
    ) -> None:
        held = Holding(digest=BLOB, size=self.network.size, have=have, fetching=fetching)
        self.machine.advertise(Advert(node=self.hosts[at].info, held=(held,)), now)
        self._note_changes(now, besides=_NOBODY)

    def _gauge_all(self) -> None:
        """Nodes come up one after the other, and measure against those that the tracker names."""
        for at in range(len(self.hosts)):
            self.machine.advertise(Advert(node=self.hosts[at].info), 0.0)
        for at in (*range(len(self.hosts)), *range(len(self.hosts)), *range(len(self.hosts))):
            self._gauge(at, 0.0)

    def _gauge(self, at: int, now: float) -> None:
        node = self.hosts[at].info
        gauged = tuple(
            Gauged(node_id=other.node_id, rate=self._gauged(at, self.index[other.node_id]))
            for other in self.machine.gauges_for(node.node_id, now)
        )
        self.machine.advertise(Advert(node=node, gauged=gauged), now)
        self._note_changes(now, besides=at)

    def _gauged(self, at: int, other: int) -> int:
        """What a measurement says: the slower link, or less when something else used it."""
        rate = min(self.link[at], self.link[other])
        return int(rate * self.chance.uniform(self.network.gauge_least, 1.0))

    def _call(self, now: float) -> None:
        for at in np.nonzero(self.joined & (self.dies > now))[0]:
            self.machine.advertise(Advert(node=self.hosts[int(at)].info), now)
        self.machine.expire(now)
        self._note_changes(now, besides=_NOBODY)
        self.machine.check()

    def _depth(self) -> int:
        """Hops of the longest way from a host that has no parent."""
        most = 0
        for lane in range(self.parent.shape[1]):
            up = np.where(self.done | (self.parent[:, lane] < 0), _NOBODY, self.parent[:, lane])
            at, hops = up[self.joined], 0
            while bool(np.any(at >= 0)) and hops < len(self.hosts):
                at, hops = np.where(at >= 0, up[at], _NOBODY), hops + 1
            most = max(most, hops)
        return most

    def _sum_up(self) -> None:
        copies = self.entered / self.network.size
        self.outcome.zone_copies = dict(zip(map(str, self.zones), copies.tolist(), strict=True))


if __name__ == "__main__":
    from tests.sim.plan_compare import main

    main()
