"""Which cluster a node belongs to: what `meeting` and `lifespan` decide is done here.

Sans-IO. A node follows a cluster by its `Attachment`; with a `Seat` it takes part in its log, too.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import assert_never

from eagle_node.base.ids import NodeId
from eagle_node.consensus import lifespan, meeting, raft_events
from eagle_node.consensus.attachment import Attachment
from eagle_node.consensus.events import Begin
from eagle_node.consensus.meeting import Move, Place
from eagle_node.consensus.members import Members
from eagle_node.consensus.messages import Dissolve, Redirect, View
from eagle_node.consensus.outbox import Outbox
from eagle_node.consensus.policy import Wanted
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
from eagle_node.consensus.seat import Seat
from eagle_node.consensus.timing import Timing
from eagle_node.runtime.sockets import Address


class Affiliation:
    """Invariants: there is a ``seat`` exactly while ``identity.lineage`` is set, of that cluster;
    who has one follows that cluster.
    """

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
        attachment: Attachment,
        members: Members,
        outbox: Outbox,
        now: float,
    ) -> None:
        self.identity = identity
        self.seat: Seat | None = None
        self._address = address
        self._created_ms = created_ms
        """What the wall clock says; see `Lineage`."""
        self._timing = timing
        self._wanted = wanted
        self._chance = chance
        self._attachment = attachment
        self._members = members
        self._outbox = outbox
        self._clusterless: set[NodeId] = set()
        """Nodes that said that they are in no cluster either."""
        self._looks_since = now
        if identity.lineage is not None:
            self._sit_down(identity.lineage, durable, now)
            self._attachment.follow(self.lineage, None, now)

    @property
    def me(self) -> Voter:
        """This node as a member."""
        return Voter(member=self.identity.member, host=self._address.host, port=self._address.port)

    @property
    def lineage(self) -> Lineage | None:
        """The cluster in whose log this node takes part, with the rank that it has reached."""
        return self.seat.lineage if self.seat is not None else None

    @property
    def place(self) -> Place:
        """What this node is in its cluster."""
        if self.seat is None:
            return Place.OBSERVER
        if self.seat.duty is None:
            return Place.MEMBER
        return Place.LEADER if self.seat.serves else Place.BOUND

    def redirect(self, now: float) -> Redirect:
        """Whom to ask instead of this node, or that it leads."""
        if self.place is Place.LEADER:
            return Redirect(lineage=self.lineage, leader=self.me, me=self.me)
        leader = self._live_leader(now)
        return Redirect(lineage=self._attachment.following, leader=leader, me=self.me)

    def check(self) -> None:
        """Assert the invariants."""
        lineage, following = self.identity.lineage, self._attachment.following
        assert (self.seat is None) == (lineage is None)
        if self.seat is not None and lineage is not None:
            assert self.seat.me == self.me
            assert self.seat.lineage.cluster == lineage.cluster
            assert following is not None
            assert following.cluster == lineage.cluster
            self.seat.check()

    # As time goes by

    def ticked(self, now: float, *, leaving: bool) -> None:
        """Start a cluster when there is none; leave a log, or a cluster, that is of no use.

        A node that is about to stop begins nothing.
        """
        if self._attachment.following is None and not leaving:
            self._start_in_time(now)
        self._drop_useless_log(now)
        if self._attachment.following is not None and not leaving:
            self._reform_in_time(now)

    def step(self, event: raft_events.Event, now: float) -> None:
        """Hand an event to the log, if there is one; it may be the end of it."""
        if self.seat is None:
            return
        merger = self.seat.step(event, now)
        if merger is not None:
            self._go_over(merger.into, merger.leader, now)

    # What others say

    def saw_log(self, lineage: Lineage, now: float) -> None:
        """A leader brings a log; it is taken by who has none and follows no other cluster."""
        following = self._attachment.following
        if self.seat is None and (following is None or following.cluster == lineage.cluster):
            self._outbox.note(f"take part in the log of cluster {lineage.cluster[:8]}")
            self._begin(replace(self.identity, lineage=lineage), Snapshot(), now)
            self._attachment.follow(lineage, self._attachment.leader, now)

    def saw_view(self, view: View, now: float) -> bool:
        """Follow a cluster's leader; whether the view is of the cluster that is followed."""
        following = self._attachment.following
        if following is None:
            self._attachment.follow(view.lineage, view.leader, now)
        elif following.cluster != view.lineage.cluster:
            self.met(view.lineage, view.leader, now)
            return False
        self._attachment.saw_view(view, now)
        self._leave_log_if_removed(view, now)
        return True

    def redirected(self, sender: NodeId, redirect: Redirect, now: float) -> None:
        """Another node says whom to ask."""
        lineage, leader = redirect.lineage, redirect.leader
        if lineage is None:
            self._clusterless.add(sender)
            return
        self._clusterless.discard(sender)
        if leader is None:
            return
        following = self._attachment.following
        if following is None or following.cluster != lineage.cluster:
            self.met(lineage, leader, now)
        elif self._attachment.leader is None and leader != self.me:
            self._attachment.point_to(leader, now)

    def met(self, theirs: Lineage, leader: Voter, now: float) -> None:
        """There is a cluster that has a leader: who goes over?"""
        mine = self.lineage or self._attachment.following
        lonely = meeting.is_lonely(now - self._attachment.led_at, self._timing)
        match meeting.move(mine, theirs, self.place, lonely=lonely):
            case Move.STAY:
                pass
            case Move.FOLLOW:
                self._attachment.follow(theirs, leader, now)
            case Move.GO_OVER:
                self._go_over(theirs, leader, now)
            case Move.DISSOLVE:
                assert self.seat is not None
                self.step(self.seat.merger(theirs, leader), now)
            case never:
                assert_never(never)

    def told_to_go(self, message: Dissolve, now: float) -> None:
        """A leader says that its cluster is no more."""
        term = self.seat.raft.term if self.seat is not None else None
        if meeting.obeys(message, self._attachment.following, term):
            self._outbox.note(f"go over to cluster {message.into.cluster[:8]}, as the leader says")
            self._go_over(message.into, message.leader, now)

    # Beginnings and ends

    def _start_in_time(self, now: float) -> None:
        why = lifespan.why_start(
            node_of(self.identity.member),
            [each.node_id for each in self._members.others()],
            self._clusterless,
            waited_s=now - self._looks_since,
            bootstrap_s=self._timing.bootstrap_s,
        )
        if why is not None:
            self._start_cluster(why, now)

    def _start_cluster(self, why: str, now: float) -> None:
        cluster = f"{self._chance.getrandbits(128):032x}"
        lineage = Lineage(cluster=cluster, created_ms=self._created_ms)
        snapshot = Snapshot(
            index=1,
            term=0,
            configuration=Configuration(voters=(self.me,)),
            registry=Registry(epoch=self._attachment.holdings.epoch_seen),
        )
        self._outbox.note(f"start cluster {cluster[:8]}: {why}")
        self._begin(replace(self.identity, lineage=lineage), snapshot, now, fresh=True)
        self._attachment.follow(lineage, None, now)

    def _reform_in_time(self, now: float) -> None:
        reform_s = self._timing.reform_s
        if reform_s is None or now - self._attachment.led_at < reform_s:
            return
        self._outbox.note(f"give up a cluster that has had no leader for {reform_s:g} s")
        self._go_over(None, None, now)
        self._looks_since = now

    def _leave_log_if_removed(self, view: View, now: float) -> None:
        if self.seat is None or self.seat.duty is not None:
            return
        if lifespan.is_removed(self.identity.member, self.seat.raft.log, view):
            self._outbox.note("this node's log is not needed any more")
            self._go_over(view.lineage, view.leader, now)

    def _drop_useless_log(self, now: float) -> None:
        """The log of a node that is in no configuration, and that no leader writes to."""
        view = self._attachment.view
        if self.seat is None or view is None:
            return
        if lifespan.has_part(self.identity.member, self.seat.raft.configuration):
            return
        lonely = meeting.is_lonely(now - self.seat.raft.contact_at, self._timing)
        if lonely and self._live_leader(now) is not None:
            self._outbox.note("this node's log has been left behind")
            self._go_over(view.lineage, self._attachment.leader, now)

    def _live_leader(self, now: float) -> Voter | None:
        """The leader, if it has answered lately."""
        attachment = self._attachment
        return attachment.leader if attachment.is_led(len(self._members), now) else None

    def _go_over(self, into: Lineage | None, leader: Voter | None, now: float) -> None:
        """Leave the log, if there is one, and follow another cluster, or look for one."""
        if self.seat is not None:
            suffix = f"{self._chance.getrandbits(32):08x}"
            member = MemberId(f"{node_of(self.identity.member)}-{suffix}")
            self._begin(Identity(member=member), Snapshot(), now)
        self._clusterless.clear()
        self._attachment.follow(into, leader, now)

    def _begin(
        self, identity: Identity, snapshot: Snapshot, now: float, *, fresh: bool = False
    ) -> None:
        """Leave the log, if there is one, and take part in another, if one is named."""
        if self.seat is not None:
            self.seat.end()
            self.seat = None
        self.identity = identity
        self._outbox.add(Begin(identity=identity, snapshot=snapshot))
        if identity.lineage is not None:
            self._sit_down(identity.lineage, Durable(snapshot=snapshot), now, fresh=fresh)

    def _sit_down(
        self, lineage: Lineage, durable: Durable, now: float, *, fresh: bool = False
    ) -> None:
        self.seat = Seat(
            me=self.me,
            lineage=lineage,
            durable=durable,
            fresh=fresh,
            timing=self._timing,
            wanted=self._wanted,
            chance=self._chance,
            members=self._members,
            outbox=self._outbox,
            now=now,
        )
