"""A node's whole consensus, sans-IO: its log if it has one, its leases, its way into a cluster.

``handle(event, now)`` is the only door to the state; its effects are to be carried out in order. If
`Begin` or `Persist` fails, the later effects must not be carried out, and the machine must be made
anew from the disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import assert_never

from eagle_node.base.ids import NodeId
from eagle_node.consensus import lifespan, meeting, raft_events
from eagle_node.consensus.attachment import Attachment
from eagle_node.consensus.duty import Duty
from eagle_node.consensus.events import (
    Asked,
    Begin,
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
from eagle_node.consensus.meeting import Move, Place
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
    Configuration,
    Durable,
    Identity,
    Lineage,
    MemberId,
    Registry,
    Snapshot,
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
    """Invariant: there is a `Seat` exactly while ``identity.lineage`` is set, of that cluster."""

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
        self.identity = identity
        self.node_id = node_of(identity.member)
        self._address = address
        self._created_ms = created_ms
        """What the wall clock says; see `Lineage`."""
        self._timing = timing
        self._wanted = wanted
        self._chance = chance
        self._started_at = now
        self._attachment = Attachment(timing=timing, chance=chance, now=now)
        self._waiting = Waiting(chance)
        self._members = Members(self.node_id)
        self._outbox = Outbox(self.node_id)
        self._seat: Seat | None = None
        self._clusterless: set[NodeId] = set()
        """Nodes that said that they are in no cluster either."""
        self._leaving = False
        self._now = now
        if identity.lineage is not None:
            self._sit_down(identity.lineage, durable)
            self._attachment.follow(self.lineage, None, now)

    # What others may look at

    @property
    def me(self) -> Voter:
        """This node as a member."""
        return Voter(member=self.identity.member, host=self._address.host, port=self._address.port)

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
        return self._seat.lineage if self._seat is not None else None

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
        assert (self._seat is None) == (self.identity.lineage is None)
        self._outbox.check()
        if self._seat is not None:
            assert self._seat.me == self.me
            self._seat.check()

    # Time

    def _tick(self) -> None:
        self._attachment.holdings.expire(self._now)
        self._step(raft_events.Ticked())
        self._outbox.add(*self._waiting.given_up(self._now))
        if self._seat is not None and self._seat.serves and not self._leaving:
            self._seat.upkeep(self._now)
        if self._seat is None and self._attachment.following is None:
            self._start_in_time()
        self._drop_useless_log()
        self._reform_in_time()

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

    # Beginnings and ends

    def _start_in_time(self) -> None:
        """Start a cluster when there is none."""
        why = lifespan.why_start(
            self.node_id,
            [each.node_id for each in self._members.others()],
            self._clusterless,
            waited_s=self._now - self._started_at,
            bootstrap_s=self._timing.bootstrap_s,
        )
        if why is not None and not self._leaving:
            self._start_cluster(why)

    def _start_cluster(self, why: str) -> None:
        cluster = f"{self._chance.getrandbits(128):032x}"
        lineage = Lineage(cluster=cluster, created_ms=self._created_ms)
        snapshot = Snapshot(
            index=1,
            term=0,
            configuration=Configuration(voters=(self.me,)),
            registry=Registry(epoch=self._attachment.holdings.epoch_seen),
        )
        self._outbox.note(f"start cluster {cluster[:8]}: {why}")
        self._begin(replace(self.identity, lineage=lineage), snapshot, fresh=True)
        self._attachment.follow(lineage, None, self._now)

    def _reform_in_time(self) -> None:
        reform_s = self._timing.reform_s
        if reform_s is None or self._now - self._attachment.led_at < reform_s:
            return
        if self._attachment.following is None or self._leaving:
            return
        self._outbox.note(f"give up a cluster that has had no leader for {reform_s:g} s")
        self._go_over(None, None)
        self._started_at = self._now

    def _leave_log_if_removed(self, view: View) -> None:
        if self.raft is None or self.duty is not None:
            return
        if lifespan.is_removed(self.identity.member, self.raft.log, view):
            self._outbox.note("this node's log is not needed any more")
            self._go_over(view.lineage, view.leader)

    def _drop_useless_log(self) -> None:
        """The log of a node that is in no configuration, and that no leader writes to."""
        if self.raft is None or self.view is None:
            return
        if lifespan.has_part(self.identity.member, self.raft.configuration):
            return
        lonely = meeting.is_lonely(self._now - self.raft.contact_at, self._timing)
        if lonely and self._live_leader() is not None:
            self._outbox.note("this node's log has been left behind")
            self._go_over(self.view.lineage, self._attachment.leader)

    def _go_over(self, into: Lineage | None, leader: Voter | None) -> None:
        """Leave the log, if there is one, and follow another cluster."""
        if self._seat is not None:
            suffix = f"{self._chance.getrandbits(32):08x}"
            member = MemberId(f"{self.node_id}-{suffix}")
            self._begin(Identity(member=member), Snapshot())
        self._clusterless.clear()
        self._attachment.follow(into, leader, self._now)

    def _begin(self, identity: Identity, snapshot: Snapshot, *, fresh: bool = False) -> None:
        """Leave the log, if there is one, and take part in another, if one is named."""
        if self._seat is not None:
            self._seat.end()
            self._seat = None
        self.identity = identity
        self._outbox.add(Begin(identity=identity, snapshot=snapshot))
        if identity.lineage is not None:
            self._sit_down(identity.lineage, Durable(snapshot=snapshot), fresh=fresh)

    def _sit_down(self, lineage: Lineage, durable: Durable, *, fresh: bool = False) -> None:
        self._seat = Seat(
            me=self.me,
            lineage=lineage,
            durable=durable,
            fresh=fresh,
            timing=self._timing,
            wanted=self._wanted,
            chance=self._chance,
            members=self._members,
            outbox=self._outbox,
            now=self._now,
        )

    def _step(self, event: raft_events.Event) -> None:
        """Hand an event to the log, if there is one; it may be the end of it."""
        if self._seat is None:
            return
        merger = self._seat.step(event, self._now)
        if merger is not None:
            self._go_over(merger.into, merger.leader)

    # Messages

    def _receive(self, sender: NodeId, message: Message) -> None:
        match message:
            case Envelope():
                self._take_envelope(sender, message)
            case Beat():
                self._take_beat(sender, message)
            case BeatReply():
                if message.view is None or self._take_view(message.view):
                    self._attachment.answered(message, self._now)
            case View():
                self._take_view(message)
            case Redirect():
                self._take_redirect(sender, message)
            case Probe():
                self._meet(message.lineage, message.leader)
                self._outbox.send(sender, self._redirect())
            case Dissolve():
                self._take_dissolve(message)
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
        mine, theirs = self.identity.lineage, envelope.lineage
        if mine is None and isinstance(envelope.body, Append | InstallSnapshot):
            following = self._attachment.following
            if following is not None and following.cluster != theirs.cluster:
                return
            self._outbox.note(f"take part in the log of cluster {theirs.cluster[:8]}")
            self._begin(replace(self.identity, lineage=theirs), Snapshot())
            self._attachment.follow(theirs, self._attachment.leader, self._now)
        elif mine is None or mine.cluster != theirs.cluster:
            return
        self._step(raft_events.Received(sender=envelope.sender, message=envelope.body))

    def _take_beat(self, sender: NodeId, beat: Beat) -> None:
        if node_of(beat.me.member) != sender:
            return
        seat, theirs = self._seat, beat.lineage
        if seat is None or not seat.serves or (theirs and theirs.cluster != seat.lineage.cluster):
            self._outbox.send(sender, self._redirect())
        else:
            self._step(seat.reported(beat, self._now))

    def _take_view(self, view: View) -> bool:
        """Follow a cluster's leader; whether the view is of the cluster that is followed."""
        following = self._attachment.following
        if following is None:
            self._attachment.follow(view.lineage, view.leader, self._now)
        elif following.cluster != view.lineage.cluster:
            self._meet(view.lineage, view.leader)
            return False
        self._attachment.saw_view(view, self._now)
        self._leave_log_if_removed(view)
        return True

    def _redirect(self) -> Redirect:
        if self._seat is not None and self._seat.serves:
            return Redirect(lineage=self.lineage, leader=self.me, me=self.me)
        return Redirect(lineage=self._attachment.following, leader=self._live_leader(), me=self.me)

    def _live_leader(self) -> Voter | None:
        """The leader, if it has answered lately."""
        attachment = self._attachment
        return attachment.leader if attachment.is_led(len(self._members), self._now) else None

    def _take_redirect(self, sender: NodeId, redirect: Redirect) -> None:
        lineage, leader = redirect.lineage, redirect.leader
        if lineage is None:
            self._clusterless.add(sender)
            return
        self._clusterless.discard(sender)
        if leader is None:
            return
        following = self._attachment.following
        if following is None or following.cluster != lineage.cluster:
            self._meet(lineage, leader)
        elif self._attachment.leader is None and leader != self.me:
            self._attachment.point_to(leader, self._now)

    # Other clusters

    def _meet(self, theirs: Lineage, leader: Voter) -> None:
        """There is another cluster, and it has a leader: who goes over?"""
        mine = self.lineage or self._attachment.following
        lonely = meeting.is_lonely(self._now - self._attachment.led_at, self._timing)
        match meeting.move(mine, theirs, self._place, lonely=lonely):
            case Move.STAY:
                pass
            case Move.FOLLOW:
                self._attachment.follow(theirs, leader, self._now)
            case Move.GO_OVER:
                self._go_over(theirs, leader)
            case Move.DISSOLVE:
                assert self._seat is not None
                self._step(self._seat.merger(theirs, leader))
            case never:
                assert_never(never)

    @property
    def _place(self) -> Place:
        if self._seat is None:
            return Place.OBSERVER
        if self._seat.duty is None:
            return Place.MEMBER
        return Place.LEADER if self._seat.serves else Place.BOUND

    def _take_dissolve(self, message: Dissolve) -> None:
        term = self.raft.term if self.raft is not None else None
        if meeting.obeys(message, self._attachment.following, term):
            self._outbox.note(f"go over to cluster {message.into.cluster[:8]}, as the leader says")
            self._go_over(message.into, message.leader)

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
