"""The life of one member (sans-IO): SWIM's failure detector and dissemination, with Lifeguard.

``handle(event, now)`` is the only door to the state. `beliefs` has what is believed of others and
how that changes, `detector` who answers; here are the turns that recur, and what goes out.
"""

from __future__ import annotations

import enum
import itertools
import random
from collections.abc import Sequence
from typing import assert_never

from eagle_node.base.ids import NodeId
from eagle_node.membership.beliefs import Beliefs
from eagle_node.membership.contacts import Contacts
from eagle_node.membership.detector import Deadline, Detector
from eagle_node.membership.events import (
    Alone,
    Contact,
    ContactsSet,
    DuplicateId,
    Effect,
    Event,
    ExchangeArrived,
    ExchangeFailed,
    Found,
    Knock,
    LeaveAsked,
    MetaSet,
    PacketArrived,
    Refused,
    Send,
    Tell,
    Ticked,
)
from eagle_node.membership.health import LocalHealth
from eagle_node.membership.member import Member, State, Update
from eagle_node.membership.seal import OVERHEAD
from eagle_node.membership.timers import Timers
from eagle_node.membership.timings import Timings
from eagle_node.membership.wire import (
    MAX_DATAGRAM,
    Ack,
    Exchange,
    Message,
    Nack,
    Packet,
    Ping,
    PingReq,
    Rumours,
    encode_update,
    message_size,
)
from eagle_node.runtime.sockets import Address

_STRANGER_PAUSE_S = 1.0
"""Between push-pulls with unknown senders of datagrams."""
_ROOM = MAX_DATAGRAM - OVERHEAD


class Turn(enum.Enum):
    """What recurs."""

    PROBE = enum.auto()
    GOSSIP = enum.auto()
    EXCHANGE = enum.auto()
    CONTACT = enum.auto()


Timer = Turn | Deadline | NodeId
"""A node id stands for the end of its suspicion."""


class Machine:
    """One member.

    Invariants: each waiting ping and each suspicion has a timer; own state is ALIVE or LEFT.
    """

    def __init__(
        self, own: Member, *, timings: Timings, chance: random.Random, instance: int, now: float
    ) -> None:
        self._timings = timings
        self._chance = chance
        self._instance = instance
        self._now = now
        self._timers: Timers[Timer] = Timers()
        self._health = LocalHealth(timings.most_health)
        self._beliefs = Beliefs(own, timings=timings, chance=chance)
        self._detector = Detector(
            self._beliefs,
            self._health,
            timings=timings,
            chance=chance,
            send=self._send,
            knock=self._knock,
            deadline=self._set_deadline,
        )
        self._contacts = Contacts(
            chance, first_s=timings.contact_first_s, usual_s=timings.contact_interval_s
        )
        self._stranger_due = now
        self._alone = True
        self._out: list[Effect] = []
        self._timers.set(Turn.PROBE, now + chance.random() * timings.probe_interval_s)
        self._timers.set(Turn.EXCHANGE, now + chance.random() * timings.exchange_interval_s)
        self._timers.set(Turn.CONTACT, now)

    @property
    def due(self) -> float:
        """When the machine next wants to hear `Ticked`."""
        return self._timers.next

    @property
    def own(self) -> Member:
        """This node as it tells others."""
        return self._beliefs.own

    @property
    def health(self) -> int:
        """The local health multiplier; 0 is healthy."""
        return self._health.score

    def members(self) -> dict[NodeId, Member]:
        """This node and all others that are known, the dead and the departed too."""
        return {self.own.node_id: self.own, **self._beliefs.table.everybody}

    def exchange(self) -> Exchange:
        """This node's side of a push-pull."""
        return Exchange(self.own.node_id, self._instance, self._beliefs.told())

    def handle(self, event: Event, now: float) -> Sequence[Effect]:
        """The effects of ``event``, to be performed in order."""
        self._now = now
        match event:
            case PacketArrived():
                self._packet(event.packet, event.source)
            case ExchangeArrived():
                self._exchanged(event.exchange, event.contacted)
            case ExchangeFailed():
                self._unreachable(event.address)
            case Refused():
                self._beliefs.bury(event.member, now)
            case Ticked():
                self._tick()
            case MetaSet():
                self._beliefs.describe(event.meta)
            case ContactsSet():
                if event.addresses != self._contacts.addresses:
                    self._contacts.set(event.addresses)
                    self._timers.set(Turn.CONTACT, now)
            case LeaveAsked():
                self._beliefs.leave()
                self._timers.set(Turn.GOSSIP, now)
            case _:
                assert_never(event)
        self._settle()
        effects, self._out = self._out, []
        return effects

    def check(self) -> None:
        """Assert the invariants."""
        self._beliefs.check()
        for deadlines in self._detector.waiting():
            assert any(deadline in self._timers for deadline in deadlines)
        assert all(node_id in self._timers for node_id in self._beliefs.suspicions)
        assert self.own.state in (State.ALIVE, State.LEFT)
        assert 0 <= self._health.score <= self._timings.most_health

    # What comes in

    def _packet(self, packet: Packet, source: Address) -> None:
        own_id = self.own.node_id
        if packet.sender == own_id:
            self._tell_duplicate(self._detector.namesake(packet.message, source))
            return
        for update in packet.updates:
            self._beliefs.hear(update, self._now)
        match packet.message:
            case Ping(nonce, target):
                if target == own_id:
                    self._send(source, Ack(nonce), packet.sender)
            case PingReq():
                self._detector.relay(packet.message, source)
            case Ack(nonce):
                self._detector.acked(nonce, packet.sender)
            case Nack(nonce):
                self._detector.nacked(nonce, packet.sender)
            case Rumours():
                pass
            case _:
                assert_never(packet.message)
        if self._beliefs.table.get(packet.sender) is None and self._now >= self._stranger_due:
            self._stranger_due = self._now + _STRANGER_PAUSE_S
            self._contact(source)

    def _exchanged(self, exchange: Exchange, contacted: Address | None) -> None:
        if exchange.sender != self.own.node_id:
            self._beliefs.merge(exchange, self._now)
        elif exchange.instance == self._instance:
            if contacted is not None:
                self._contacts.own.add(contacted)
        else:
            theirs = (each for each in exchange.members if each.node_id == exchange.sender)
            for namesake in theirs:
                self._tell_duplicate(self._detector.duplicate(namesake.address))

    def _unreachable(self, address: Address) -> None:
        contacts = self._contacts
        if self._alone and address in contacts.addresses and not contacts.alone_told:
            contacts.alone_told = True
            self._out.append(Tell(Alone(contacts.addresses - contacts.own)))

    # Time

    def _tick(self) -> None:
        late_s = self._now - self._timers.next
        if late_s > self._timings.stall_s:
            self._stood_still(late_s + self._timings.ack_timeout_s)
        for timer in self._timers.pop_due(self._now):
            self._turn(timer)
            self._settle()

    def _stood_still(self, seconds: float) -> None:
        """Nothing was heard in that time, so nobody is to blame for silence within it.

        What arrived meanwhile may still wait in the kernel: it gets an ack's time on top.
        """
        self._health.worsen()
        self._timers.delay(seconds, lambda timer: not isinstance(timer, Turn))
        for suspicion in self._beliefs.suspicions.values():
            suspicion.delay(seconds)

    def _turn(self, timer: Timer) -> None:
        match timer:
            case Turn.PROBE:
                self._probe()
            case Turn.GOSSIP:
                self._gossip()
            case Turn.EXCHANGE:
                pause_s = self._timings.exchange_pause_s(self._beliefs.size)
                self._timers.set(timer, self._now + pause_s * self._chance.uniform(0.8, 1.2))
                self._beliefs.table.forget(self._now - self._timings.retain_s)
                for member in self._beliefs.table.sample(1):
                    self._contact(member.address)
            case Turn.CONTACT:
                self._timers.set(timer, self._now + self._contacts.pause_s(alone=self._alone))
                table = self._beliefs.table
                for address in self._contacts.choose(table.dead, table.addresses()):
                    self._contact(address)
            case tuple():
                self._detector.expired(timer, self._now)
            case str():
                self._beliefs.give_up(timer, self._now)
            case _:
                assert_never(timer)

    def _probe(self) -> None:
        """Ping the next member of the round (SWIM, section 3.1)."""
        pause_s = self._timings.probe_interval_s * self._health.factor
        self._timers.set(Turn.PROBE, self._now + pause_s)
        if not self._beliefs.has_left and (target := self._beliefs.table.next_target()):
            self._detector.probe(target)

    def _gossip(self) -> None:
        """Updates to a few at random (SWIM, section 4.1), and to one that may refute its death."""
        if not self._beliefs.rumours:
            return
        self._timers.set(Turn.GOSSIP, self._now + self._timings.gossip_interval_s)
        table = self._beliefs.table
        targets = table.sample(self._timings.gossip_fanout)
        since = self._now - self._timings.farewell_gossip_s
        targets += itertools.islice(table.recently_dead(since), 1)
        if not targets:
            self._beliefs.rumours.take(_ROOM, self._transmissions)
        for member in targets:
            self._send(member.address, Rumours(), member.node_id)

    def _settle(self) -> None:
        """What any change of beliefs calls for."""
        news = self._beliefs.take_news()
        self._out += map(Tell, news.changes)
        for node_id in news.suspicions:
            suspicion = self._beliefs.suspicions.get(node_id)
            if suspicion is None:
                self._timers.cancel(node_id)
            else:
                self._timers.set(node_id, suspicion.due)
        self._health.worsen(news.refutations)
        for member in news.doubted:
            self._knock(member)
        for address in news.disputed:
            if address not in self._contacts.own:
                self._detector.dispute(address)
        if self._beliefs.rumours and Turn.GOSSIP not in self._timers:
            self._timers.set(Turn.GOSSIP, self._now)
        alone = not self._beliefs.table.live_count
        if alone != self._alone:
            self._alone = alone
            self._company()

    def _company(self) -> None:
        """The first other member was found, or the last one lost."""
        self._timers.set(Turn.CONTACT, self._now + self._contacts.pause_s(alone=self._alone))
        for member in self._beliefs.table.sample(1):
            self._out.append(Tell(Found(member)))
            self._contacts.alone_told = False

    # What goes out

    @property
    def _transmissions(self) -> int:
        return self._timings.transmissions(self._beliefs.size)

    def _set_deadline(self, deadline: Deadline, seconds: float | None) -> None:
        if seconds is None:
            self._timers.cancel(deadline)
        else:
            self._timers.set(deadline, self._now + seconds)

    def _contact(self, address: Address) -> None:
        if not self._beliefs.has_left:
            self._out.append(Contact(address))

    def _knock(self, member: Member) -> None:
        if not self._beliefs.has_left:
            self._out.append(Knock(member))

    def _tell_duplicate(self, theirs: Address | None) -> None:
        if theirs is not None:
            self._out.append(Tell(DuplicateId(self.own.node_id, self.own.address, theirs)))

    def _send(self, to: Address, message: Message, receiver: NodeId | None) -> None:
        """A packet with as many updates as fit; first what the receiver should know of itself."""
        room = _ROOM - message_size(message)
        first: tuple[Update, ...] = ()
        if receiver is not None and (update := self._beliefs.about(receiver)) is not None:
            first = (update,)
            room -= len(encode_update(update))
        updates = self._beliefs.rumours.take(room, self._transmissions)
        if first:
            updates = (*first, *(update for update in updates if update not in first))
        self._out.append(Send(to, Packet(self.own.node_id, message, updates)))
