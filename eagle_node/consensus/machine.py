"""A node's whole consensus, sans-IO: its log if it has one, its leases, its way into a cluster.

``handle(event, now)`` is the only door to the state; its effects are to be carried out in order. If
`Begin` or `Persist` fails, the later effects must not be carried out, and the machine must be made
anew from the disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import assert_never

from eagle_node.base.ids import NodeId
from eagle_node.consensus import raft_events
from eagle_node.consensus.affiliation import Affiliation
from eagle_node.consensus.attachment import Attachment
from eagle_node.consensus.duty import Duty
from eagle_node.consensus.events import (
    Asked,
    Effect,
    Event,
    LeaveAsked,
    MembersChanged,
    PeerLost,
    Received,
    ReleaseAsked,
    Ticked,
)
from eagle_node.consensus.holdings import Holding
from eagle_node.consensus.members import Members
from eagle_node.consensus.messages import (
    Append,
    Beat,
    BeatReply,
    Dissolve,
    Envelope,
    InstallSnapshot,
    Message,
    Probe,
    Redirect,
    Request,
    Response,
    View,
)
from eagle_node.consensus.outbox import Outbox
from eagle_node.consensus.policy import Wanted
from eagle_node.consensus.raft import Raft
from eagle_node.consensus.records import (
    Durable,
    Identity,
    Lineage,
    MemberId,
    Registry,
    Voter,
    node_of,
)
from eagle_node.consensus.requests import (
    Asker,
    OthersRequest,
    OwnRequest,
    Waiting,
    answer,
    for_log,
)
from eagle_node.consensus.seat import Seat
from eagle_node.consensus.timing import Timing
from eagle_node.runtime.sockets import Address


class Node:
    """What others may look at, and the order in which its parts see an event."""

    def __init__(
        self,
        *,
        identity: Identity,
        durable: Durable,
        address: Address,
        created_ms: int,
        timing: Timing,
        wanted: Wanted,
        chance: Random,
        now: float,
    ) -> None:
        self.node_id = node_of(identity.member)
        self._chance = chance
        self._attachment = Attachment(timing=timing, chance=chance, now=now)
        self._waiting = Waiting(chance)
        self._members = Members(self.node_id)
        self._outbox = Outbox(self.node_id)
        self._affiliation = Affiliation(
            identity=identity,
            durable=durable,
            address=address,
            created_ms=created_ms,
            timing=timing,
            wanted=wanted,
            chance=chance,
            attachment=self._attachment,
            members=self._members,
            outbox=self._outbox,
            now=now,
        )
        self._leaving = False
        self._now = now

    # What others may look at

    @property
    def identity(self) -> Identity:
        """Under what name this node takes part in which cluster."""
        return self._affiliation.identity

    @property
    def me(self) -> Voter:
        """This node as a member."""
        return self._affiliation.me

    @property
    def raft(self) -> Raft | None:
        """This node's log and what it knows of the others'."""
        return self._seat.raft if self._seat is not None else None

    @property
    def duty(self) -> Duty | None:
        """The term of office, while this node leads."""
        return self._seat.duty if self._seat is not None else None

    @property
    def registry(self) -> Registry:
        """The state of this node's log."""
        return self._seat.registry if self._seat is not None else Registry()

    @property
    def lineage(self) -> Lineage | None:
        """The cluster in whose log this node takes part, with the rank that it has reached."""
        return self._affiliation.lineage

    @property
    def view(self) -> View | None:
        """The cluster as its leader last told it."""
        return self._attachment.view

    @property
    def leader(self) -> Voter | None:
        """Who leads, as far as this node knows."""
        return self._attachment.leader

    def held(self, now: float) -> Mapping[str, Holding]:
        """The leases that this node holds validly."""
        return self._attachment.holdings.valid(now)

    # Events

    def handle(self, event: Event, now: float) -> Sequence[Effect]:
        """The effects of ``event``, to be performed in order."""
        self._now = now
        match event:
            case Ticked():
                self._tick()
            case Received():
                self._receive(event.sender, event.message)
            case MembersChanged():
                self._members.replace(event.members)
            case PeerLost():
                self._lose(event.node)
            case Asked():
                self._ask(event)
            case ReleaseAsked():
                self._attachment.holdings.release(event.lease)
                self._attachment.hurry(now)
            case LeaveAsked():
                self._leave()
            case _:
                assert_never(event)
        self._report()
        while (message := self._outbox.next_inner()) is not None:
            self._receive(self.node_id, message)
        return self._outbox.drain()

    def check(self) -> None:
        """Assert the invariants."""
        self._outbox.check()
        self._affiliation.check()

    @property
    def _seat(self) -> Seat | None:
        return self._affiliation.seat

    def _step(self, event: raft_events.Event) -> None:
        self._affiliation.step(event, self._now)

    # Time

    def _tick(self) -> None:
        self._attachment.holdings.expire(self._now)
        self._step(raft_events.Ticked())
        self._outbox.add(*self._waiting.given_up(self._now))
        if self._seat is not None and self._seat.serves and not self._leaving:
            self._seat.upkeep(self._now)
        self._affiliation.ticked(self._now, leaving=self._leaving)

    def _report(self) -> None:
        """Beat to the leader when it is time; look for one otherwise."""
        attachment = self._attachment
        if self._seat is not None and (leader := self._seat.leader) is not None:
            # A voter knows from its log's leader whom to report to.
            attachment.point_to(leader, self._now)
        if attachment.has_new_grant(self.node_id):
            attachment.hurry(self._now)
        busy = self._seat is not None or bool(attachment.holdings.valid(self._now))
        if not attachment.is_due(busy=busy, members=len(self._members), now=self._now):
            return
        target = attachment.leader or self._somebody()
        if target is not None:
            beat = attachment.beat(self.me, leaving=self._leaving, now=self._now)
            self._outbox.send(node_of(target.member), beat, target.address)

    def _somebody(self) -> Voter | None:
        others = sorted(self._members.others(), key=lambda each: each.node_id)
        if not others:
            return None
        other = self._chance.choice(others)
        return Voter(
            member=MemberId(f"{other.node_id}-"), host=other.address.host, port=other.address.port
        )

    def _lose(self, node: NodeId) -> None:
        """The connection with a node is gone."""
        self._attachment.lost(node, self._now)
        self._outbox.add(*self._waiting.given_up(self._now, node))
        leader = self.raft.leader if self.raft is not None else None
        if leader is not None and node_of(leader) == node:
            self._step(raft_events.PeerLost(member=leader))

    def _leave(self) -> None:
        self._leaving = True
        self._attachment.holdings.release_all()
        self._attachment.hurry(self._now)
        if self._seat is not None and (heir := self._seat.heir) is not None:
            self._step(raft_events.TransferAsked(target=heir))

    # Messages

    def _receive(self, sender: NodeId, message: Message) -> None:
        affiliation, now = self._affiliation, self._now
        match message:
            case Envelope():
                self._take_envelope(sender, message)
            case Beat():
                self._take_beat(sender, message)
            case BeatReply():
                if message.view is None or affiliation.saw_view(message.view, now):
                    self._attachment.answered(message)
            case View():
                affiliation.saw_view(message, now)
            case Redirect():
                affiliation.redirected(sender, message, now)
            case Probe():
                affiliation.met(message.lineage, message.leader, now)
                self._outbox.send(sender, affiliation.redirect(now))
            case Dissolve():
                affiliation.told_to_go(message, now)
            case Request():
                asker = OthersRequest(node=sender, number=message.number)
                self._carry_out(asker, message.key, message.value)
            case Response():
                self._outbox.add(*self._waiting.answered(message))
            case _:
                assert_never(message)

    def _take_envelope(self, sender: NodeId, envelope: Envelope) -> None:
        if envelope.target != self.identity.member or node_of(envelope.sender) != sender:
            return
        if isinstance(envelope.body, Append | InstallSnapshot):
            self._affiliation.saw_log(envelope.lineage, self._now)
        mine = self.identity.lineage
        if mine is not None and mine.cluster == envelope.lineage.cluster:
            self._step(raft_events.Received(sender=envelope.sender, message=envelope.body))

    def _take_beat(self, sender: NodeId, beat: Beat) -> None:
        if node_of(beat.me.member) != sender:
            return
        seat, theirs = self._seat, beat.lineage
        if seat is None or not seat.serves or (theirs and theirs.cluster != seat.lineage.cluster):
            self._outbox.send(sender, self._affiliation.redirect(self._now))
        else:
            self._step(seat.reported(beat, self._now))

    # Requests

    def _ask(self, asked: Asked) -> None:
        asker = OwnRequest(token=asked.token)
        leader = self._attachment.leader
        if self.duty is not None:
            self._carry_out(asker, asked.key, asked.value)
        elif leader is None:
            answer(self._outbox, asker, "refused")
        else:
            node = node_of(leader.member)
            request = self._waiting.ask(asked, node, self._now)
            self._outbox.send(node, request, leader.address)

    def _carry_out(self, asker: Asker, key: str, value: str) -> None:
        if self._seat is None or not self._seat.serves:
            answer(self._outbox, asker, "refused")
        else:
            self._step(for_log(asker, key, value))
