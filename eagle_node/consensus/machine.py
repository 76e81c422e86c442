"""A node's whole consensus, sans-IO: its log if it has one, its leases, its way into a cluster.

``handle(event, now)`` is the only door to the state; its effects are to be carried out in order. If
`Begin` or `Persist` fails, the later effects must not be carried out, and the machine must be made
anew from the disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import assert_never

from eagle_node.base.ids import NodeId
from eagle_node.consensus import raft_events as raft
from eagle_node.consensus.attachment import Attachment
from eagle_node.consensus.duty import Duty, HandOver
from eagle_node.consensus.events import (
    Answered,
    Asked,
    Begin,
    Effect,
    Event,
    LeaveAsked,
    MembersChanged,
    Noted,
    PeerLost,
    Received,
    ReleaseAsked,
    Send,
    Ticked,
)
from eagle_node.consensus.holdings import Holding
from eagle_node.consensus.leases import LeaseClock, applied
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
from eagle_node.consensus.policy import Candidate, Wanted
from eagle_node.consensus.raft import Raft
from eagle_node.consensus.records import (
    Command,
    Configuration,
    Configure,
    Durable,
    Identity,
    Lineage,
    MemberId,
    Registry,
    SetSetting,
    Snapshot,
    Voter,
    node_of,
)
from eagle_node.consensus.timing import Timing
from eagle_node.runtime.sockets import Address

COMPACT_AFTER = 256
"""Applied entries beyond the snapshot; with a state this small, a snapshot costs less than them."""
_REQUEST_S = 4.0
"""How long the leader's answer to a request is awaited."""
_LONELY = 4
"""Election timeouts without a leader after which a node without a log looks at other clusters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _OwnRequest:
    token: object


@dataclass(frozen=True, slots=True, kw_only=True)
class _OthersRequest:
    node: NodeId
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Upkeep:
    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class _Renewal:
    node: NodeId
    beat: Beat


@dataclass(frozen=True, slots=True, kw_only=True)
class _Merger:
    into: Lineage
    leader: Voter


_Asker = _OwnRequest | _OthersRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    """A request that was sent to the leader."""

    token: object
    reads: bool
    leader: NodeId
    until: float

    @property
    def given_up(self) -> str:
        """What to say without an answer: a read may simply be asked for again."""
        return "refused" if self.reads else "unknown"


class Node:
    """Invariants: a `Raft` exists exactly while ``identity.lineage`` is set; a `Duty` exactly while
    it leads; nothing is granted or renewed before the term's first entry is applied.
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
        now: float,
    ) -> None:
        self.identity = identity
        self.node_id = node_of(identity.member)
        self.registry = durable.snapshot.registry
        self.raft: Raft | None = None
        self.duty: Duty | None = None
        self._address = address
        self._created_ms = created_ms
        """What the wall clock says; see `Lineage`."""
        self._timing = timing
        self._wanted = wanted
        self._chance = chance
        self._started_at = now
        self._attachment = Attachment(timing=timing, chance=chance, now=now)
        self._members: Mapping[NodeId, Candidate] = {}
        self._clusterless: set[NodeId] = set()
        """Nodes that said that they are in no cluster either."""
        self._proposed: dict[tuple[int, int], _Asker] = {}
        """By index and term."""
        self._waiting: dict[int, _Waiting] = {}
        self._numbers = chance.getrandbits(40)
        self._probe_at = now
        self._plan_at = now
        self._ready = False
        self._fresh = False
        self._merging = False
        self._leaving = False
        self._contact_at = now
        self._out: list[Effect] = []
        self._inner: list[tuple[NodeId, Message]] = []
        self._now = now
        if identity.lineage is not None:
            self._attachment.follow(self.lineage, None, now)
            self._start_raft(durable)

    # What others may look at

    @property
    def me(self) -> Voter:
        """This node as a member."""
        return Voter(member=self.identity.member, host=self._address.host, port=self._address.port)

    @property
    def lineage(self) -> Lineage | None:
        """The cluster in whose log this node takes part, with the rank that it has reached."""
        lineage = self.identity.lineage
        if lineage is None:
            return None
        return replace(lineage, rank=max(lineage.rank, self.registry.rank))

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
                self._members = {each.node_id: each for each in event.members}
            case PeerLost():
                self._attachment.lost(event.node, now)
                self._give_up_requests(event.node)
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
        while self._inner:
            sender, message = self._inner.pop(0)
            self._receive(sender, message)
        effects, self._out = self._out, []
        return effects

    def check(self) -> None:
        """Assert the invariants."""
        assert (self.raft is None) == (self.identity.lineage is None)
        assert not self._inner
        if self.raft is not None:
            self.raft.check()
            assert (self.duty is None) == (self.raft.leadership is None)
        else:
            assert self.duty is None

    # Time

    def _tick(self) -> None:
        self._attachment.holdings.expire(self._now)
        self._step(raft.Ticked())
        self._give_up_requests()
        if self.duty is not None and self._ready:
            self._lead(self.duty)
        elif self.identity.lineage is None and self._attachment.following is None:
            self._bootstrap_in_time()
        self._drop_useless_log()
        self._reform_in_time()

    def _report(self) -> None:
        """Beat to the leader when it is time; look for one otherwise."""
        attachment = self._attachment
        if self.raft is not None:
            self._heed_raft(self.raft)
        if attachment.has_new_grant(self.node_id):
            attachment.hurry(self._now)
        busy = self.raft is not None or bool(attachment.holdings.valid(self._now))
        if not attachment.is_due(busy=busy, members=len(self._members), now=self._now):
            return
        target = attachment.leader or self._somebody()
        if target is not None:
            beat = attachment.beat(self.me, leaving=self._leaving, now=self._now)
            self._send(node_of(target.member), beat, target.address)

    def _heed_raft(self, member: Raft) -> None:
        """A voter knows from its log's leader whom to report to."""
        if member.leader is None:
            return
        for voter in (self.me, *member.configuration.everyone):
            if voter.member == member.leader:
                self._attachment.point_to(voter, self._now)
                return

    def _somebody(self) -> Voter | None:
        others = [each for node, each in self._members.items() if node != self.node_id]
        others = [each for each in others if each.alive]
        if not others:
            return None
        other = self._chance.choice(sorted(others, key=lambda each: each.node_id))
        return Voter(
            member=MemberId(f"{other.node_id}-"), host=other.address.host, port=other.address.port
        )

    # Beginnings and ends

    def _bootstrap_in_time(self) -> None:
        """Start a cluster when there is none; of several new nodes, the lowest starts it."""
        waited_s = self._now - self._started_at
        patience_s = self._timing.bootstrap_s
        others = [n for n, each in self._members.items() if each.alive and n != self.node_id]
        first = all(n in self._clusterless and n > self.node_id for n in others)
        if self._leaving or waited_s < (patience_s if first else 3 * patience_s):
            return
        self._start_cluster("no other node answered" if not others else "no other node has one")

    def _start_cluster(self, why: str) -> None:
        cluster = f"{self._chance.getrandbits(128):032x}"
        lineage = Lineage(cluster=cluster, created_ms=self._created_ms)
        configuration = Configuration(voters=(self.me,))
        snapshot = Snapshot(
            index=1,
            term=0,
            configuration=configuration,
            registry=Registry(epoch=self._attachment.holdings.epoch_seen),
        )
        self._fresh = True
        self._note(f"start cluster {cluster[:8]}: {why}")
        self._begin(replace(self.identity, lineage=lineage), snapshot)
        self._attachment.follow(lineage, None, self._now)

    def _reform_in_time(self) -> None:
        reform_s = self._timing.reform_s
        if reform_s is None or self._now - self._attachment.led_at < reform_s:
            return
        if self._attachment.following is None or self._leaving:
            return
        self._note(f"give up a cluster that has had no leader for {reform_s:g} s")
        self._go_over(None, None)
        self._started_at = self._now

    def _begin(self, identity: Identity, snapshot: Snapshot) -> None:
        self._end_raft()
        self.identity = identity
        self.registry = snapshot.registry
        self._out.append(Begin(identity=identity, snapshot=snapshot))
        if identity.lineage is not None:
            self._start_raft(Durable(snapshot=snapshot))

    def _go_over(self, into: Lineage | None, leader: Voter | None) -> None:
        """Leave the log, if there is one, and follow another cluster."""
        if self.raft is not None:
            suffix = f"{self._chance.getrandbits(32):08x}"
            member = MemberId(f"{self.node_id}-{suffix}")
            self._begin(Identity(member=member), Snapshot())
        self._clusterless.clear()
        self._attachment.follow(into, leader, self._now)

    def _start_raft(self, durable: Durable) -> None:
        self.raft = Raft(
            me=self.identity.member,
            durable=durable,
            timing=self._timing,
            chance=self._chance,
            now=self._now,
        )

    def _end_raft(self) -> None:
        self._end_duty()
        self.raft = None

    def _end_duty(self) -> None:
        self.duty = None
        self._ready = False
        self._merging = False
        for asker in self._proposed.values():
            self._answer(asker, "unknown")
        self._proposed.clear()

    def _leave(self) -> None:
        self._leaving = True
        self._attachment.holdings.release_all()
        self._attachment.hurry(self._now)
        if self.raft is not None and (leadership := self.raft.leadership) is not None:
            voting = self.raft.configuration.voting
            heirs = [m for m in leadership.progress if m in voting]
            if heirs:
                heir = max(heirs, key=lambda each: leadership.progress[each].match)
                self._step(raft.TransferAsked(target=heir))

    # Messages

    def _receive(self, sender: NodeId, message: Message) -> None:
        match message:
            case Envelope():
                self._take_envelope(sender, message)
            case Beat():
                self._take_beat(sender, message)
            case BeatReply():
                self._take_reply(message)
            case View():
                self._take_view(message)
            case Redirect():
                self._take_redirect(sender, message)
            case Probe():
                self._meet(message.lineage, message.leader)
                self._send(sender, self._redirect())
            case Dissolve():
                self._take_dissolve(message)
            case Request():
                self._serve(sender, message)
            case Response():
                waiting = self._waiting.pop(message.number, None)
                if waiting is not None:
                    self._answered(waiting.token, message.status, message.view)
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
            self._note(f"take part in the log of cluster {theirs.cluster[:8]}")
            self._begin(replace(self.identity, lineage=theirs), Snapshot())
            self._attachment.follow(theirs, self._attachment.leader, self._now)
        elif mine is None or mine.cluster != theirs.cluster:
            return
        self._step(raft.Received(sender=envelope.sender, message=envelope.body))

    def _take_beat(self, sender: NodeId, beat: Beat) -> None:
        mine = self.lineage
        if node_of(beat.me.member) != sender:
            return
        if self.duty is None or not self._ready or mine is None or self._merging:
            self._send(sender, self._redirect())
            return
        if beat.lineage is not None and beat.lineage.cluster != mine.cluster:
            self._send(sender, self._redirect())
            return
        self.duty.beat(beat, self.registry, self._now)
        self._step(raft.ReadAsked(token=_Renewal(node=sender, beat=beat)))

    def _take_reply(self, reply: BeatReply) -> None:
        if reply.view is not None and not self._take_view(reply.view):
            return
        self._attachment.answered(reply, self._now)

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

    def _leave_log_if_removed(self, view: View) -> None:
        """Once removed, a log is of no use, and its name must not vote again."""
        if self.raft is None or self.duty is not None:
            return
        me = self.identity.member
        everyone = (*view.voters, *view.learners)
        log = self.raft.log
        was_in = any(each.member == me for each in log.configuration.everyone)
        if (
            was_in
            and view.version > log.configured_at
            and not any(each.member == me for each in everyone)
        ):
            self._note("this node's log is not needed any more")
            self._go_over(view.lineage, view.leader)

    def _drop_useless_log(self) -> None:
        """The log of a node that is in no configuration, and that no leader writes to."""
        if self.raft is None or self.view is None:
            return
        me = self.identity.member
        if any(each.member == me for each in self.raft.configuration.everyone):
            return
        silence_s = self._now - self.raft.contact_at
        if silence_s > _LONELY * self._timing.election_max_s and self._live_leader() is not None:
            self._note("this node's log has been left behind")
            self._go_over(self.view.lineage, self._attachment.leader)

    def _redirect(self) -> Redirect:
        if self.duty is not None and self._ready and not self._merging:
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
        following = self._attachment.following
        if following is None and leader is not None:
            self._attachment.follow(lineage, leader, self._now)
        elif following is not None and following.cluster == lineage.cluster:
            if self._attachment.leader is None and leader is not None and leader != self.me:
                self._attachment.point_to(leader, self._now)
        elif leader is not None:
            self._meet(lineage, leader)

    def _meet(self, theirs: Lineage, leader: Voter) -> None:
        """There is another cluster, and it has a leader: who goes over?"""
        mine = self.lineage or self._attachment.following
        if mine is None:
            self._attachment.follow(theirs, leader, self._now)
            return
        if mine.cluster == theirs.cluster:
            return
        if self.duty is not None:
            if theirs.outranks(mine) and self._ready and not self._merging:
                self._merging = True
                self._step(raft.ReadAsked(token=_Merger(into=theirs, leader=leader)))
            return
        silence_s = self._now - self._attachment.led_at
        lonely = silence_s > _LONELY * self._timing.election_max_s
        if self.raft is None:
            if theirs.outranks(mine) or lonely:
                self._go_over(theirs, leader)
        elif theirs.outranks(mine) and lonely:
            self._go_over(theirs, leader)

    def _take_dissolve(self, message: Dissolve) -> None:
        following = self._attachment.following
        if following is None or following.cluster != message.lineage.cluster:
            return
        if self.raft is None or message.term >= self.raft.term:
            self._note(f"go over to cluster {message.into.cluster[:8]}, as the leader says")
            self._go_over(message.into, message.leader)

    def _lose(self, node: NodeId) -> None:
        leader = self.raft.leader if self.raft is not None else None
        if leader is not None and node_of(leader) == node:
            self._step(raft.PeerLost(member=leader))

    # Requests

    def _ask(self, asked: Asked) -> None:
        asker = _OwnRequest(token=asked.token)
        if self.duty is not None:
            self._carry_out(asker, asked.key, asked.value)
            return
        leader = self._attachment.leader
        if leader is None:
            self._answered(asked.token, "refused", None)
            return
        self._numbers += 1
        self._waiting[self._numbers] = _Waiting(
            token=asked.token,
            reads=not asked.key,
            leader=node_of(leader.member),
            until=self._now + _REQUEST_S,
        )
        request = Request(number=self._numbers, key=asked.key, value=asked.value)
        self._send(node_of(leader.member), request, leader.address)

    def _serve(self, sender: NodeId, request: Request) -> None:
        self._carry_out(
            _OthersRequest(node=sender, number=request.number), request.key, request.value
        )

    def _carry_out(self, asker: _Asker, key: str, value: str) -> None:
        if self.duty is None or not self._ready or self._merging:
            self._answer(asker, "refused")
        elif key:
            self._step(raft.Proposed(command=SetSetting(key=key, value=value), token=asker))
        else:
            self._step(raft.ReadAsked(token=asker))

    def _answer(self, asker: _Asker, status: str) -> None:
        view = self._view_now() if status == "done" else None
        match asker:
            case _OwnRequest():
                self._answered(asker.token, status, view)
            case _OthersRequest():
                self._send(asker.node, Response(number=asker.number, status=status, view=view))
            case _:
                assert_never(asker)

    def _answered(self, token: object, status: str, view: View | None) -> None:
        self._out.append(Answered(token=token, status=status, view=view))

    def _give_up_requests(self, lost: NodeId | None = None) -> None:
        """Those that are overdue, and those that a node will not answer any more."""
        for number, waiting in list(self._waiting.items()):
            if self._now >= waiting.until or waiting.leader == lost:
                del self._waiting[number]
                self._answered(waiting.token, waiting.given_up, None)

    # Leading

    def _lead(self, duty: Duty) -> None:
        """The leader's upkeep, at its heartbeat's pace."""
        if self._now < self._plan_at or self._merging or self.raft is None or self._leaving:
            return
        self._plan_at = self._now + self._timing.tick_s
        duty.forget_gone(self._now)
        for command in duty.commands(self.registry, self._members, self._now):
            self._step(raft.Proposed(command=command, token=_Upkeep(command=command)))
        leadership = self.raft.leadership
        if leadership is None:
            return
        settled = max(self.raft.log.configured_at, leadership.start) <= self.raft.commit
        if settled and leadership.successor is None:
            step = duty.reconfigure(self.raft.log, leadership, self._members, self._now)
            if isinstance(step, HandOver):
                self._step(raft.TransferAsked(target=step.target))
            elif step is not None:
                self._step(raft.Proposed(command=step, token=_Upkeep(command=step)))
        self._probe(duty)

    def _probe(self, duty: Duty) -> None:
        lineage = self.lineage
        if self._now < self._probe_at or lineage is None:
            return
        self._probe_at = self._now + self._timing.probe_s
        probe = Probe(lineage=lineage, leader=self.me)
        for stranger in duty.strangers(self._members.values(), self._now):
            if stranger.node_id != self.node_id:
                self._send(stranger.node_id, probe, stranger.address)

    def _view_now(self) -> View | None:
        lineage = self.lineage
        if self.raft is None or lineage is None:
            return None
        return View(
            lineage=lineage,
            leader=self.me,
            term=self.raft.term,
            version=self.raft.commit,
            voters=self.raft.configuration.voters,
            learners=self.raft.configuration.learners,
            leases=self.registry.leases,
            settings=self.registry.settings,
        )

    def _publish(self) -> None:
        """Tell everybody who follows what has changed."""
        view = self._view_now()
        if self.duty is None or view is None:
            return
        for node, each in self.duty.attached.items():
            self._send(node, view, each.voter.address)
        if self.node_id not in self.duty.attached:
            self._send(self.node_id, view)

    def _renew(self, duty: Duty, renewal: _Renewal) -> None:
        beat = renewal.beat
        view = self._view_now()
        reply = BeatReply(
            session=beat.session,
            sequence=beat.sequence,
            leases=() if beat.leaving else duty.clock.holdings(self.registry, renewal.node),
            lease_s=self._timing.lease_s,
            view=view if view is not None and view.version != beat.version else None,
        )
        self._send(renewal.node, reply, beat.me.address)

    def _merge(self, merger: _Merger) -> None:
        lineage = self.lineage
        if self.raft is None or lineage is None or self.duty is None:
            return
        message = Dissolve(
            lineage=lineage, term=self.raft.term, into=merger.into, leader=merger.leader
        )
        addresses = {n: each.voter.address for n, each in self.duty.attached.items()}
        for voter in self.raft.configuration.everyone:
            addresses[node_of(voter.member)] = voter.address
        for node, address in addresses.items():
            if node != self.node_id:
                self._send(node, message, address)
        self._note(f"dissolve this cluster into {merger.into.cluster[:8]}, which outranks it")
        self._go_over(merger.into, merger.leader)

    # The log

    def _step(self, event: raft.Event) -> None:
        """Hand an event to the log, and deal with what comes of it."""
        member = self.raft
        if member is None:
            self._refuse(event)
            return
        changed = False
        for effect in member.handle(event, self._now):
            if self.raft is not member:
                # The cluster was given up by an effect before this one.
                return
            changed |= self._carry(member, effect)
        if changed:
            self._publish()
        if member.commit - member.log.snapshot.index > COMPACT_AFTER and self.raft is member:
            self._out.extend(
                effect
                for effect in member.handle(raft.Compacted(registry=self.registry), self._now)
                if isinstance(effect, raft.Persist)
            )

    def _refuse(self, event: raft.Event) -> None:
        if isinstance(event, raft.Proposed | raft.ReadAsked) and isinstance(
            event.token, _OwnRequest | _OthersRequest
        ):
            self._answer(event.token, "refused")

    def _carry(self, member: Raft, effect: raft.Effect) -> bool:
        """One effect of the log; whether the state changed."""
        match effect:
            case raft.Persist():
                self._out.append(effect)
            case raft.Send():
                self._post(member, effect)
            case raft.Applied():
                return self._apply(member, effect)
            case raft.Restored():
                self.registry = effect.snapshot.registry
            case raft.Accepted():
                if isinstance(effect.token, _OwnRequest | _OthersRequest):
                    self._proposed[(effect.index, effect.term)] = effect.token
            case raft.Refused():
                self._refused(effect.token)
            case raft.Confirmed():
                self._confirmed(effect.token)
            case raft.Elected():
                self._contact_at = effect.contact_at
                clock = LeaseClock(timing=self._timing, contact_at=effect.contact_at)
                self.duty = Duty(
                    timing=self._timing,
                    clock=clock,
                    wanted=self._wanted,
                    fresh=self._fresh,
                    now=self._now,
                )
                self._note(f"lead in term {member.term}")
            case raft.Deposed():
                self._note(f"do not lead any more, in term {member.term}")
                self._fresh = False
                self._end_duty()
            case _:
                assert_never(effect)
        return False

    def _post(self, member: Raft, effect: raft.Send) -> None:
        lineage = self.lineage
        assert lineage is not None
        envelope = Envelope(
            lineage=lineage,
            sender=self.identity.member,
            target=effect.target,
            body=effect.message,
        )
        node = node_of(effect.target)
        self._send(node, envelope, self._address_of(effect.target, member.configuration))

    def _address_of(self, target: MemberId, configuration: Configuration) -> Address | None:
        candidate = self._members.get(node_of(target))
        if candidate is not None:
            return candidate.address
        for voter in configuration.everyone:
            if voter.member == target:
                return voter.address
        return None

    def _apply(self, member: Raft, effect: raft.Applied) -> bool:
        entry = effect.entry
        before = self.registry
        self.registry = applied(before, entry.command)
        if self.duty is None:
            return False
        if member.leadership is not None and entry.index >= member.leadership.start:
            became_ready = not self._ready
            self._ready = True
            if became_ready:
                self._announce()
        self.duty.took_effect(entry.command, self.registry, self._now)
        asker = self._proposed.pop((entry.index, entry.term), None)
        if asker is not None:
            self._answer(asker, "done")
        return self.registry != before or isinstance(entry.command, Configure)

    def _announce(self) -> None:
        """A new leader makes itself known to all members, and reports to itself."""
        view = self._view_now()
        if view is None:
            return
        for node, each in self._members.items():
            if node != self.node_id and each.alive:
                self._send(node, view, each.address)
        self._send(self.node_id, view)

    def _refused(self, token: object) -> None:
        match token:
            case _OwnRequest() | _OthersRequest():
                self._answer(token, "refused")
            case _Upkeep() if self.duty is not None:
                self.duty.refused(token.command)
            case _Merger():
                self._merging = False
            case _:
                pass

    def _confirmed(self, token: object) -> None:
        match token:
            case _OwnRequest() | _OthersRequest():
                self._answer(token, "done")
            case _Renewal() if self.duty is not None:
                self._renew(self.duty, token)
            case _Merger():
                self._merge(token)
            case _:
                pass

    def _send(self, target: NodeId, message: Message, address: Address | None = None) -> None:
        if target == self.node_id:
            self._inner.append((target, message))
            return
        self._out.append(Send(target=target, address=address, message=message))

    def _note(self, text: str) -> None:
        self._out.append(Noted(text=text))
