"""Whole clusters of the real consensus machine in virtual time, on a network and disks that fail.

One seed is one story: who crashes, what is lost, late, doubled or cut off, whose disk is full,
whose clock runs at what rate. Only requests are not doubled: they go over one connection (TCP) and
are not sent again, for who leads no more refuses what it may have taken before. After every event
the invariants of raft and of the leases hold; when the faults end, the cluster heals.
``python -m tests.sim.consensus_sim SEED`` tells a seed's story.
"""

from __future__ import annotations

import heapq
import itertools
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from eagle_node.base.ids import NodeId
from eagle_node.consensus.events import (
    Answered,
    Asked,
    Begin,
    Effect,
    Event,
    MembersChanged,
    Noted,
    Received,
    ReleaseAsked,
    Send,
    Ticked,
)
from eagle_node.consensus.leases import applied
from eagle_node.consensus.log import Log
from eagle_node.consensus.machine import Node
from eagle_node.consensus.messages import Message, Request
from eagle_node.consensus.policy import Candidate, Wanted
from eagle_node.consensus.raft_events import Persist
from eagle_node.consensus.records import (
    Command,
    Configuration,
    Durable,
    Entry,
    Identity,
    Lineage,
    MemberId,
    Registry,
    Snapshot,
    Voter,
)
from eagle_node.consensus.timing import Timing
from eagle_node.consensus.wire import frame, parse_message
from eagle_node.runtime.sockets import Address
from tests.support.linearizability import Operation, is_linearizable

TIMING = Timing(voter_grace_s=4.0)
_CODEC_EVERY = 40
"""One message in so many goes through the codec: all would double the time."""


class Violation(AssertionError):
    """An invariant does not hold; the text is the seed's story."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How bad the world is."""

    loss: float = 0.02
    duplication: float = 0.02
    delay_s: float = 0.01
    """Mean of an exponential distribution: messages overtake each other."""
    sync_s: float = 0.003
    """Mean time of a write to the disk; a crash meanwhile loses it."""
    mischief_s: float = 1.0
    """Mean time between crashes, partitions and full disks."""
    drift: float = 0.01
    """Clocks run at rates within 1 +- this."""


@dataclass(slots=True)
class Disk:
    """What a crash leaves."""

    identity: Identity | None = None
    durable: Durable = field(default_factory=Durable)
    full_until: float = 0.0

    def write(self, effect: Persist | Begin) -> None:
        """Store one transaction."""
        if isinstance(effect, Begin):
            self.identity = effect.identity
            self.durable = Durable(snapshot=effect.snapshot)
            return
        snapshot, entries = self.durable.snapshot, list(self.durable.entries)
        if effect.snapshot is not None:
            snapshot = effect.snapshot
        if effect.keep_below is not None:
            entries = [each for each in entries if each.index < effect.keep_below]
        entries = [each for each in (*entries, *effect.entries) if each.index > snapshot.index]
        self.durable = Durable(
            term=effect.term, vote=effect.vote, snapshot=snapshot, entries=tuple(entries)
        )
        Log(snapshot, entries).check()


@dataclass(slots=True)
class Host:
    """One machine of the world."""

    candidate: Candidate
    disk: Disk
    rate: float
    offset: float
    node: Node | None = None
    life: int = 0
    """Grows with each crash: what was under way for a former life is void."""
    busy_until: float = 0.0
    queue: list[Event] = field(default_factory=list)
    applied: int = 0
    cluster: str | None = None

    def clock(self, now: float) -> float:
        """The host's own time."""
        return self.offset + self.rate * now

    def real(self, local: float) -> float:
        """The world's time at which the host's clock shows ``local``."""
        return (local - self.offset) / self.rate


class World:
    """``size`` hosts; ``formed`` of them begin as the voters of one cluster."""

    def __init__(
        self, seed: int, *, size: int, formed: int, faults: Faults, timing: Timing = TIMING
    ) -> None:
        self.now = 0.0
        self.story: list[str] = [f"seed {seed}: {size} nodes, {formed} voters to begin with"]
        self.chance = Random(seed)
        self.faults = faults
        self.timing = timing
        self.checks = Checks(self)
        self.quiet = False
        self.history: list[Operation] = []
        self._pending: dict[int, tuple[float, str | None]] = {}
        self._values = itertools.count(1)
        self._order = itertools.count()
        self._agenda: list[tuple[float, int, NodeId, int, str, object]] = []
        self._cut: set[tuple[NodeId, NodeId]] = set()
        self.hosts = {host.candidate.node_id: host for host in self._make(size, formed)}
        self._members = tuple(host.candidate for host in self.hosts.values())
        for host in self.hosts.values():
            self._start(host)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        mischief_at = self.now + self.chance.expovariate(1 / self.faults.mischief_s)
        while self._agenda and self._agenda[0][0] < until:
            if not self.quiet and self._agenda[0][0] > mischief_at:
                self.now = mischief_at
                self._mischief()
                mischief_at = self.now + self.chance.expovariate(1 / self.faults.mischief_s)
                continue
            self.now, _, node_id, life, kind, content = heapq.heappop(self._agenda)
            host = self.hosts[node_id]
            if life not in (host.life, -1):
                continue
            self._dispatch(host, kind, content)
        self.now = until

    def heal(self) -> None:
        """No faults from here on."""
        self.quiet = True
        self._cut.clear()
        self.faults = Faults(loss=0, duplication=0, delay_s=0.002, sync_s=0.001)
        for host in self.hosts.values():
            host.disk.full_until = 0.0
            if host.node is None:
                self._start(host)
        self.tell("all faults end")

    def tell(self, text: str) -> None:
        """Add a line to the story."""
        self.story.append(f"{self.now:8.3f} {text}")

    def leaders(self) -> list[Host]:
        """Hosts whose node leads, with everything applied that it began with."""
        return [h for h in self.hosts.values() if h.node and h.node.duty is not None]

    def kill(self, host: Host) -> None:
        """Lose everything but the disk."""
        self.tell(f"{_name(host)} crashes")
        host.life += 1
        host.node = None
        self.checks.crashed(host)

    def bury(self, host: Host) -> None:
        """Have the gossip of all others say that a host is dead."""
        self.tell(f"{_name(host)} is dead to the others")
        self._members = tuple(each for each in self._members if each != host.candidate)
        for other in self.hosts.values():
            if other.node is not None:
                self._plan(other, 0.0, "event", MembersChanged(members=self._members))

    def start(self, host: Host) -> None:
        """Start a host that was killed."""
        self.tell(f"{_name(host)} starts")
        self._start(host)

    def ask(self, host: Host, value: str | None) -> None:
        """Write ``value`` (None: read) at a host, and note what comes of it."""
        number = next(self._order)
        self._pending[number] = (self.now, value)
        key = "" if value is None else "register"
        self._handle(host, Asked(token=number, key=key, value=value or ""))

    def operations(self) -> list[Operation]:
        """The history; writes that nobody heard of again may have happened."""
        lost = [
            Operation(start=begun, end=None, wrote=value, read=None)
            for begun, value in self._pending.values()
            if value is not None
        ]
        return [*self.history, *lost]

    def _make(self, size: int, formed: int) -> list[Host]:
        hosts = []
        lineage = Lineage(cluster=f"{0xC0FFEE:032x}", created_ms=0)
        candidates = [
            Candidate(
                node_id=NodeId(f"{number:032x}"),
                address=Address(f"192.0.2.{number}", 7947),
                zone=f"z{number % 3}",
            )
            for number in range(1, size + 1)
        ]
        voters = tuple(
            Voter(member=MemberId(f"{c.node_id}-0"), host=c.address.host, port=7947)
            for c in candidates[:formed]
        )
        snapshot = Snapshot(index=1, configuration=Configuration(voters=voters))
        for number, candidate in enumerate(candidates):
            member = MemberId(f"{candidate.node_id}-0")
            disk = Disk()
            if number < formed:
                disk.identity = Identity(member=member, lineage=lineage)
                disk.durable = Durable(snapshot=snapshot)
            rate = 1 + self.chance.uniform(-self.faults.drift, self.faults.drift)
            offset = self.chance.uniform(0, 1000)
            hosts.append(Host(candidate=candidate, disk=disk, rate=rate, offset=offset))
        return hosts

    def _start(self, host: Host) -> None:
        identity = host.disk.identity
        if identity is None:
            member = MemberId(f"{host.candidate.node_id}-{self.chance.getrandbits(32):08x}")
            identity = Identity(member=member)
        host.queue.clear()
        host.busy_until = self.now
        host.applied = 0
        host.node = Node(
            identity=identity,
            durable=host.disk.durable,
            address=host.candidate.address,
            created_ms=int(1000 * self.now) + self.chance.randrange(1000),
            timing=self.timing,
            wanted=Wanted(),
            chance=Random(self.chance.getrandbits(64)),
            now=host.clock(self.now),
        )
        self._plan(host, 0.0, "event", MembersChanged(members=self._members))
        self._plan(host, self.chance.uniform(0, self.timing.tick_s), "tick", None)

    def _plan(self, host: Host, delay_s: float, kind: str, content: object) -> None:
        item = (self.now + delay_s, next(self._order), host.candidate.node_id, host.life)
        heapq.heappush(self._agenda, (*item, kind, content))

    def _dispatch(self, host: Host, kind: str, content: object) -> None:
        match kind:
            case "tick":
                self._plan(host, self.timing.tick_s, "tick", None)
                self._handle(host, Ticked())
            case "event" | "message":
                if host.node is not None:
                    self._handle(host, content)  # type: ignore[arg-type]
            case "synced":
                self._continue(host, content)  # type: ignore[arg-type]
            case "start":
                self.start(host)
            case "mend":
                self._cut.clear()
                self.tell("the network is whole")
            case _:
                raise AssertionError(kind)

    def _handle(self, host: Host, event: Event) -> None:
        """Events wait while the host writes to its disk."""
        if host.node is None:
            return
        host.queue.append(event)
        if host.busy_until <= self.now:
            self._work(host)

    def _work(self, host: Host) -> None:
        while host.queue and host.node is not None and host.busy_until <= self.now:
            event = host.queue.pop(0)
            effects = host.node.handle(event, host.clock(self.now))
            self.checks.handled(host)
            self._perform(host, effects)

    def _perform(self, host: Host, effects: Sequence[Effect]) -> None:
        for position, effect in enumerate(effects):
            match effect:
                case Persist() | Begin():
                    sync_s = self.chance.expovariate(1 / self.faults.sync_s)
                    host.busy_until = self.now + sync_s
                    self._plan(host, sync_s, "synced", effects[position:])
                    return
                case Send():
                    self._transmit(host, effect.target, effect.message)
                case Answered():
                    self._answered(effect)
                case Noted():
                    self.tell(f"{_name(host)}: {effect.text}")
        self.checks.performed(host)

    def _continue(self, host: Host, effects: Sequence[Effect]) -> None:
        written = effects[0]
        assert isinstance(written, Persist | Begin)
        if self.now < host.disk.full_until:
            self.tell(f"{_name(host)} cannot write: disk full")
            self.kill(host)
            delay_s = host.disk.full_until - self.now
            heapq.heappush(
                self._agenda,
                (
                    self.now + delay_s,
                    next(self._order),
                    host.candidate.node_id,
                    host.life,
                    "start",
                    None,
                ),
            )
            return
        host.disk.write(written)
        self.checks.written(host, written)
        host.busy_until = self.now
        self._perform(host, effects[1:])
        self._work(host)

    def _transmit(self, host: Host, target: NodeId, message: Message) -> None:
        source = host.candidate.node_id
        doubled = self.chance.random() < self.faults.duplication
        for _ in range(2 if doubled and not isinstance(message, Request) else 1):
            if (source, target) in self._cut or self.chance.random() < self.faults.loss:
                continue
            if self.chance.randrange(_CODEC_EVERY) == 0:
                assert parse_message(frame(message)[4:]) == message
            delay_s = self.chance.expovariate(1 / self.faults.delay_s)
            item = (self.now + delay_s, next(self._order), target, -1)
            heapq.heappush(
                self._agenda, (*item, "message", Received(sender=source, message=message))
            )

    def _answered(self, answer: Answered) -> None:
        begun, value = self._pending.pop(answer.token)  # type: ignore[call-overload]
        if answer.status == "refused":
            return
        end = self.now if answer.status == "done" else None
        if value is not None:
            self.history.append(Operation(start=begun, end=end, wrote=value, read=None))
        elif answer.view is not None:
            found = next((s.value for s in answer.view.settings if s.key == "register"), "")
            self.history.append(Operation(start=begun, end=self.now, wrote=None, read=found))

    def _mischief(self) -> None:
        host = self.chance.choice(list(self.hosts.values()))
        match self.chance.randrange(8):
            case 0 | 1 if host.node is not None:
                self.kill(host)
                self._plan(host, self.chance.expovariate(1), "start", None)
            case 2 | 3:
                self._partition()
            case 4:
                host.disk.full_until = self.now + self.chance.expovariate(1)
                self.tell(f"the disk of {_name(host)} is full")
            case 5:
                for node in [*self.hosts.values()][:2]:
                    for lease in list(node.node.held(node.clock(self.now)) if node.node else ()):
                        self.tell(f"{_name(node)} releases {lease}")
                        self._handle(node, ReleaseAsked(lease=lease))
            case _:
                value = str(next(self._values)) if self.chance.random() < 0.6 else None
                self.ask(host, value)

    def _partition(self) -> None:
        nodes = list(self.hosts)
        self.chance.shuffle(nodes)
        cut = self.chance.randrange(1, max(2, len(nodes)))
        one_way = self.chance.random() < 0.3
        for left, right in itertools.product(nodes[:cut], nodes[cut:]):
            self._cut.add((left, right))
            if not one_way:
                self._cut.add((right, left))
        side = ", ".join(node[-2:] for node in sorted(nodes[:cut]))
        self.tell(f"{'one-way ' if one_way else ''}partition: {side} from the others")
        item = (self.now + self.chance.expovariate(1 / 2), next(self._order), nodes[0], -1)
        heapq.heappush(self._agenda, (*item, "mend", None))


class Checks:
    """What must hold after every event."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._leaders: dict[tuple[str, int], NodeId] = {}
        self._entries: dict[tuple[str, int, int], tuple[Command, int | None]] = {}
        self._committed: dict[str, list[Entry]] = defaultdict(list)
        self._registries: dict[str, list[Registry]] = defaultdict(lambda: [Registry()] * 2)
        self._valid: dict[tuple[str, str], dict[NodeId, tuple[int, float]]] = defaultdict(dict)
        self._epochs: dict[tuple[str, str], tuple[int, NodeId]] = {}
        self.elections = 0
        self.grants = 0

    def handled(self, host: Host) -> None:
        """A node has dealt with an event."""
        node = host.node
        assert node is not None
        node.check()
        cluster = node.identity.lineage.cluster if node.identity.lineage else None
        if cluster != host.cluster:
            host.cluster, host.applied = cluster, 0
        if cluster is not None and node.raft is not None and node.raft.leadership is not None:
            self._check_leader(host, node, cluster)

    def performed(self, host: Host) -> None:
        """All effects of an event have been carried out: what it did is there for others to see."""
        node, now = host.node, self._world.now
        if node is None:
            return
        if host.cluster is not None and node.raft is not None:
            self._check_commits(host, node, host.cluster)
        view = node.view
        cluster = view.lineage.cluster if view is not None else ""
        held = node.held(host.clock(now))
        me = host.candidate.node_id
        for key in [k for k, valid in self._valid.items() if me in valid]:
            if key[0] != cluster or key[1] not in held:
                del self._valid[key][me]
        for lease, holding in held.items():
            key = (cluster, lease)
            until = host.real(holding.until)
            if self._valid[key].get(me) == (holding.epoch, until):
                continue
            for other, (epoch, end) in self._valid[key].items():
                if other != me and end > now:
                    self._fail(
                        f"{lease}: {me[-2:]} has epoch {holding.epoch} while {other[-2:]} "
                        f"holds {epoch} for {end - now:.3f} s"
                    )
            self._valid[key][me] = (holding.epoch, until)
            newest, owner = self._epochs.get(key, (0, me))
            if (holding.epoch, me) != (newest, owner):
                if holding.epoch <= newest:
                    self._fail(f"{lease}: epoch {holding.epoch} of {me[-2:]} after {newest}")
                self._epochs[key] = (holding.epoch, me)
                self.grants += 1

    def written(self, host: Host, effect: Persist | Begin) -> None:
        """Log matching: an index and a term name one command, after one predecessor."""
        if isinstance(effect, Begin) or host.node is None or host.cluster is None:
            return
        durable = host.disk.durable
        terms = {durable.snapshot.index: durable.snapshot.term}
        terms.update({each.index: each.term for each in durable.entries})
        for entry in effect.entries:
            key = (host.cluster, entry.index, entry.term)
            value = (entry.command, terms.get(entry.index - 1))
            if self._entries.setdefault(key, value) != value:
                self._fail(f"two entries {key}: {value} and {self._entries[key]}")

    def crashed(self, host: Host) -> None:
        """A dead node holds nothing."""
        for valid in self._valid.values():
            valid.pop(host.candidate.node_id, None)

    def _check_leader(self, host: Host, node: Node, cluster: str) -> None:
        assert node.raft is not None
        key = (cluster, node.raft.term)
        if key not in self._leaders:
            self.elections += 1
            self._leaders[key] = host.candidate.node_id
            for entry in self._committed[cluster]:
                found = node.raft.log.term_at(entry.index)
                if entry.index > node.raft.log.snapshot.index and found != entry.term:
                    self._fail(f"leader {_name(host)} lacks committed {entry}")
        elif self._leaders[key] != host.candidate.node_id:
            self._fail(f"two leaders in term {node.raft.term}")

    def _check_commits(self, host: Host, node: Node, cluster: str) -> None:
        """Committed is for ever, and the same commands give the same state everywhere."""
        assert node.raft is not None
        log, commit = node.raft.log, node.raft.commit
        if commit == host.applied:
            return
        committed, registries = self._committed[cluster], self._registries[cluster]
        first = 2
        for entry in log.since(log.snapshot.index + 1, commit - log.snapshot.index):
            position = entry.index - first
            if position < len(committed):
                if committed[position] != entry:
                    self._fail(f"{entry} in place of committed {committed[position]}")
            elif position == len(committed):
                committed.append(entry)
                registries.append(applied(registries[-1], entry.command))
            else:
                self._fail(f"{_name(host)} committed {entry} before those in between")
        expected = registries[commit] if commit < len(registries) else None
        epoch = node.registry.epoch
        if expected is not None and cluster == f"{0xC0FFEE:032x}" and expected != node.registry:
            self._fail(f"{_name(host)} has another state (epoch {epoch}) at {commit}")
        host.applied = commit

    def _fail(self, text: str) -> None:
        self._world.tell(f"VIOLATION {text}")
        raise Violation("\n".join(self._world.story))


def settled(world: World) -> str | None:
    """Why a world without faults is not whole again; None: it is."""
    leaders = world.leaders()
    if len(leaders) != 1:
        return f"{len(leaders)} leaders"
    leader = leaders[0].node
    assert leader is not None
    assert leader.raft is not None
    for host in world.hosts.values():
        assert host.node is not None
        view = host.node.view
        if view is None or node_id_of(view.leader.member) != leader.node_id:
            return f"{_name(host)} does not follow the leader"
    count = min(5, len(world.hosts))
    count -= (count + 1) % 2
    if len(leader.raft.configuration.voters) != count:
        return f"{len(leader.raft.configuration.voters)} voters"
    held = [
        lease
        for host in world.hosts.values()
        if host.node is not None
        for lease in host.node.held(host.clock(world.now))
    ]
    if len(held) != len(set(held)):
        return f"held twice: {sorted(held)}"
    wanted = min(3, len(world.hosts)) + min(2, len(world.hosts))
    return None if len(held) == wanted else f"held: {sorted(held)}"


def node_id_of(member: MemberId) -> NodeId:
    """Whose log it is."""
    return NodeId(member.rpartition("-")[0])


def play(seed: int, *, seconds: float = 6.0, heals: bool = True) -> World:
    """One story from its seed; `Violation` tells it when something is wrong."""
    chance = Random(seed)
    size = chance.choice((1, 2, 3, 3, 3, 4, 5, 5, 6))
    formed = chance.choice((0, 1, min(size, 5) - (min(size, 5) + 1) % 2))
    faults = Faults(
        loss=chance.choice((0.0, 0.02, 0.2)),
        duplication=chance.choice((0.0, 0.1)),
        delay_s=chance.choice((0.001, 0.02, 0.1)),
        sync_s=chance.choice((0.001, 0.02)),
        mischief_s=chance.choice((0.15, 0.5, 2.0)),
    )
    world = World(seed, size=size, formed=formed, faults=faults)
    try:
        world.run(seconds)
        if formed == size and not is_linearizable(world.operations()):
            raise Violation(f"not linearizable: {world.operations()}")
        if heals:
            world.heal()
            for _ in range(40):
                world.run(1.0)
                if settled(world) is None:
                    break
            else:
                raise Violation(f"does not heal: {settled(world)}")
    except AssertionError as error:
        world.tell(f"{type(error).__name__}: {str(error).splitlines()[-1:]}")
        raise Violation("\n".join(world.story)) from error
    return world


def _name(host: Host) -> str:
    return f"node {host.candidate.node_id[-2:]}"


if __name__ == "__main__":
    print("\n".join(play(int(sys.argv[1])).story))
