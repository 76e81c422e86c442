"""Real membership machines on a simulated network in virtual time.

Packets are lost, delayed (and so reordered), doubled, cut off by one-way and two-way partitions,
and sent again much later; hosts crash, start again, leave, and stand still with their packets
waiting. After every step the machine that took it is checked, and what it believes must not have
gone back to an older belief.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from eagle_node.base.ids import NodeId
from eagle_node.membership.events import (
    Change,
    Contact,
    ContactsSet,
    Event,
    ExchangeArrived,
    ExchangeFailed,
    Knock,
    LeaveAsked,
    MetaSet,
    PacketArrived,
    Refused,
    Send,
    Tell,
    Ticked,
)
from eagle_node.membership.machine import Machine
from eagle_node.membership.member import Member, State
from eagle_node.membership.meta import Meta
from eagle_node.membership.timings import Timings
from eagle_node.membership.wire import Packet, decode_packet, encode_exchange, encode_packet
from eagle_node.runtime.sockets import Address

_DIAL_S = 2.0
"""After which a connection that nobody answers is given up."""


@dataclass(slots=True, kw_only=True)
class Weather:
    """What the network does to packets; may be changed at any time."""

    loss: float = 0.0
    doubling: float = 0.0
    delay_s: tuple[float, float] = (0.0005, 0.002)
    replay: float = 0.0
    """Share of packets that are sent once more, to anybody, at some later time."""
    encode: bool = False
    """Whether packets go through the codec."""
    refusals: bool = False
    """Hosts outlive their processes, and say so."""


@dataclass(slots=True)
class Host:
    """One process at a time, on one address."""

    number: int
    node_id: NodeId
    address: Address
    machine: Machine | None = None
    frozen: bool = False
    waiting: list[Event] = field(default_factory=list)
    tick_at: float = float("inf")
    lives: int = 0
    past: dict[NodeId, tuple[int, int]] = field(default_factory=dict)
    changes: list[tuple[float, Change]] = field(default_factory=list)

    @property
    def running(self) -> Machine:
        """Its process."""
        assert self.machine is not None
        return self.machine

    def live_view(self) -> dict[NodeId, Member]:
        """Whom it believes to be members."""
        members = self.running.members().items()
        return {node_id: member for node_id, member in members if member.state.live}


class Net:
    """Hosts, their links, and the one clock."""

    def __init__(self, seed: int, *, timings: Timings | None = None, checked: bool = True) -> None:
        self.chance = random.Random(seed)
        self.timings = timings or Timings()
        self.weather = Weather()
        self.now = 0.0
        self.hosts: list[Host] = []
        self.cut: set[tuple[int, int]] = set()
        """Pairs of host numbers: nothing of the first reaches the second."""
        self.story: list[str] = []
        self.sent = 0
        self.sent_bytes = 0
        self.measure = False
        self._checked = checked
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = itertools.count()
        self._at: dict[Address, Host] = {}
        self._recorded: list[Send] = []

    # What tests do to it

    def add(self, *, node_id: NodeId | None = None) -> Host:
        """Another host, with nothing on it."""
        number = len(self.hosts)
        address = Address(f"10.0.{number >> 8}.{number & 255}", 7946)
        host = Host(number, node_id or NodeId(f"{number + 1:032x}"), address)
        self.hosts.append(host)
        self._at[address] = host
        return host

    def start(
        self,
        host: Host,
        joins: Sequence[Host] = (),
        *,
        counted: bool = True,
        meta: Meta | None = None,
    ) -> None:
        """Start its process; ``counted``: it knows how often it was started before."""
        host.lives += 1
        own = Member(
            node_id=host.node_id,
            address=host.address,
            incarnation=host.lives << 32 if counted else 0,
            meta=meta or Meta(version=f"1.{host.lives}"),
        )
        host.machine = Machine(
            own,
            timings=self.timings,
            chance=random.Random(self.chance.getrandbits(64)),
            instance=self.chance.getrandbits(64),
            now=self.now,
        )
        host.past.clear()
        host.frozen, host.tick_at = False, float("inf")
        self._tell(host, f"starts, joins {[each.number for each in joins]}")
        self.step(host, ContactsSet(frozenset(each.address for each in joins)))

    def crash(self, host: Host) -> None:
        """Its process ends without a word."""
        self._tell(host, "crashes")
        host.machine = None
        host.waiting.clear()

    def leave(self, host: Host, after_s: float = 0.6) -> None:
        """Its process says farewell, and ends."""
        self._tell(host, "leaves")
        self.step(host, LeaveAsked())
        machine = host.machine

        def end() -> None:
            if host.machine is machine:
                self.crash(host)

        self.after(after_s, end)

    def freeze(self, host: Host, seconds: float) -> None:
        """Its process stands still; what arrives waits."""
        if host.frozen:
            return
        self._tell(host, f"stands still for {seconds:.2f} s")
        host.frozen = True
        machine = host.machine

        def thaw() -> None:
            if host.machine is machine and host.frozen:
                self.thaw(host)

        self.after(seconds, thaw)

    def thaw(self, host: Host) -> None:
        """It goes on: first what has arrived, then the time."""
        self._tell(host, "goes on")
        host.frozen = False
        waiting, host.waiting = host.waiting, []
        for event in waiting:
            self.step(host, event)
        self._arm(host)

    def describe(self, host: Host, meta: Meta) -> None:
        """It says something else of itself."""
        self._tell(host, f"describes itself: {meta.zone}")
        self.step(host, MetaSet(meta))

    def part(self, some: Sequence[Host], others: Sequence[Host], *, one_way: bool = False) -> None:
        """Nothing of ``some`` reaches ``others``, nor the other way round."""
        one, two = [host.number for host in some], [host.number for host in others]
        self.say(f"cut {one} {'-' if one_way else '<'}-> {two}")
        self.cut |= set(itertools.product(one, two))
        if not one_way:
            self.cut |= set(itertools.product(two, one))

    def heal(self) -> None:
        """All links work, nobody stands still."""
        self.say("heals")
        self.cut.clear()
        for host in self.hosts:
            if host.frozen and host.machine is not None:
                self.thaw(host)

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        """Have something done later."""
        heapq.heappush(self._queue, (self.now + seconds, next(self._sequence), do))

    def run(self, seconds: float, until: Callable[[], bool] | None = None) -> bool:
        """Let time pass; ends early, with True, once ``until`` holds, asked 20 times a second."""
        end = self.now + seconds
        ask = self.now if until else end
        while self.now < end:
            if until is not None and self.now >= ask:
                if until():
                    return True
                ask += 0.05
            limit = min(end, ask) if until else end
            while self._queue and self._queue[0][0] <= limit:
                self.now, _, do = heapq.heappop(self._queue)
                do()
            self.now = limit
        return until() if until else True

    def converged(self) -> bool:
        """Whether all running hosts believe the same: that they are the members."""
        running = [host for host in self.hosts if host.machine is not None]
        truth = {host.node_id: host.running.own for host in running}
        return all(host.live_view() == truth for host in running)

    def step(self, host: Host, event: Event) -> None:
        """Let a host's process handle an event, and perform the effects."""
        machine = host.machine
        if machine is None:
            return
        if host.frozen:
            host.waiting.append(event)
            return
        effects = machine.handle(event, self.now)
        if self._checked:
            self._check(host, machine)
        for effect in effects:
            match effect:
                case Send():
                    self._send(host, effect)
                case Contact(address):
                    self._contact(host, address)
                case Knock(member):
                    self._knock(host, member)
                case Tell(change):
                    host.changes.append((self.now, change))
                    if self._checked:
                        self._tell(host, _brief(change))
        self._arm(host)

    def say(self, what: str) -> None:
        """Add a line to the story."""
        self.story.append(f"{self.now:8.3f}  {what}")

    # The network

    def _tell(self, host: Host, what: str) -> None:
        self.story.append(f"{self.now:8.3f}  {host.number}: {what}")

    def _arm(self, host: Host) -> None:
        if host.machine is None or host.frozen:
            return
        due = max(self.now, host.machine.due)
        if due < host.tick_at:
            host.tick_at = due
            self.after(due - self.now, lambda: self._tick(host, due))

    def _tick(self, host: Host, due: float) -> None:
        if host.tick_at != due:
            return
        host.tick_at = float("inf")
        if host.machine is None or host.frozen:
            return
        if host.machine.due <= self.now + 1e-9:
            self.step(host, Ticked())
        else:
            self._arm(host)

    def _send(self, host: Host, send: Send) -> None:
        weather, chance = self.weather, self.chance
        self.sent += 1
        if self.measure:
            self.sent_bytes += len(encode_packet(send.packet))
        if weather.replay and chance.random() < weather.replay:
            self._recorded.append(send)
        if self._recorded and chance.random() < weather.replay:
            old = chance.choice(self._recorded)
            self._transmit(chance.choice(self.hosts), old.packet, host.address)
        target = self._at.get(send.to)
        if target is None or (host.number, target.number) in self.cut:
            return
        packet = send.packet
        if weather.encode:
            packet = decode_packet(encode_packet(packet))
        copies = 1 + (chance.random() < weather.doubling)
        for _ in range(copies):
            if chance.random() >= weather.loss:
                self._transmit(target, packet, host.address)

    def _transmit(self, target: Host, packet: Packet, source: Address) -> None:
        delay_s = self.chance.uniform(*self.weather.delay_s)
        self.after(delay_s, lambda: self.step(target, PacketArrived(packet, source)))

    def _knock(self, host: Host, member: Member) -> None:
        target, client = self._at.get(member.address), host.machine
        if not self.weather.refusals or target is None or target.machine is not None:
            return
        pair = host.number, target.number
        if pair not in self.cut and pair[::-1] not in self.cut:
            delay_s = 2 * self.chance.uniform(*self.weather.delay_s)
            self.after(delay_s, lambda: self._answer(host, client, Refused(member)))

    def _contact(self, host: Host, address: Address) -> None:
        target, client = self._at.get(address), host.machine
        pair = (host.number, target.number) if target else (0, 0)
        broken = pair in self.cut or pair[::-1] in self.cut
        if target is None or target.machine is None or broken:
            self.after(_DIAL_S, lambda: self._answer(host, client, ExchangeFailed(address)))
            return
        assert client is not None
        offer = client.exchange()
        if self.measure:
            self.sent_bytes += 2 * len(encode_exchange(offer))
        delay_s = self.chance.uniform(*self.weather.delay_s)

        def arrive() -> None:
            server = target.machine
            if server is None or target.frozen:
                self.after(_DIAL_S, lambda: self._answer(host, client, ExchangeFailed(address)))
                return
            self.step(target, ExchangeArrived(offer, None))
            reply = ExchangeArrived(server.exchange(), address)
            self.after(delay_s, lambda: self._answer(host, client, reply))

        self.after(2 * delay_s, arrive)

    def _answer(self, host: Host, client: Machine | None, event: Event) -> None:
        if host.machine is client:
            self.step(host, event)

    def _check(self, host: Host, machine: Machine) -> None:
        machine.check()
        members = machine.members()
        for node_id, member in members.items():
            before = host.past.get(node_id)
            assert before is None or member.precedence >= before, f"{host.number} forgot {node_id}"
            if member.state is State.LEFT and node_id != host.node_id:
                owner = next(each for each in self.hosts if each.node_id == node_id)
                assert any("leaves" in line for line in self.story), f"{owner.number} never left"
        host.past = {node_id: member.precedence for node_id, member in members.items()}


def _brief(change: Change) -> str:
    match change:
        case _ if hasattr(change, "member"):
            member = change.member
            number = int(member.node_id, 16) - 1
            return f"{type(change).__name__} {number} {member.state.name} {member.incarnation:#x}"
    return str(change)
