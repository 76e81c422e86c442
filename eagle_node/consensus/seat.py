"""A node's part in one cluster's log: as any member of it, and as its leader. Sans-IO."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import assert_never

from eagle_node.base.ids import NodeId
from eagle_node.consensus import raft_events as raft
from eagle_node.consensus import telling
from eagle_node.consensus.duty import Duty, HandOver
from eagle_node.consensus.leadership import Leadership
from eagle_node.consensus.leases import LeaseClock, applied
from eagle_node.consensus.members import Members
from eagle_node.consensus.messages import Beat, Dissolve, Envelope, View
from eagle_node.consensus.outbox import Outbox
from eagle_node.consensus.policy import Wanted
from eagle_node.consensus.raft import Raft
from eagle_node.consensus.records import (
    Command,
    Configure,
    Durable,
    Lineage,
    MemberId,
    Voter,
    node_of,
)
from eagle_node.consensus.requests import Asker, OthersRequest, OwnRequest, answer
from eagle_node.consensus.timing import Timing

COMPACT_AFTER = 256
"""Applied entries beyond the snapshot; with a state this small, a snapshot costs less than them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merger:
    """The cluster that this one is to be dissolved into, and who leads it."""

    into: Lineage
    leader: Voter


@dataclass(frozen=True, slots=True, kw_only=True)
class _Upkeep:
    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class _Renewal:
    node: NodeId
    beat: Beat


class Seat:
    """Invariants: a `Duty` exists exactly while the log leads; nothing is granted or renewed before
    the term's first entry is applied, or once a merger is being confirmed.
    """

    def __init__(
        self,
        *,
        me: Voter,
        lineage: Lineage,
        durable: Durable,
        fresh: bool,
        timing: Timing,
        wanted: Wanted,
        chance: Random,
        members: Members,
        outbox: Outbox,
        now: float,
    ) -> None:
        self.me = me
        self.registry = durable.snapshot.registry
        self.raft = Raft(me=me.member, durable=durable, timing=timing, chance=chance, now=now)
        self.duty: Duty | None = None
        self._lineage = lineage
        self._fresh = fresh
        """Whether this node has just started the cluster, and has led it ever since."""
        self._timing = timing
        self._wanted = wanted
        self._members = members
        self._outbox = outbox
        self._proposed: dict[tuple[int, int], Asker] = {}
        """By index and term."""
        self._ready = False
        self._merging = False
        self._plan_at = now
        self._probe_at = now
        self._now = now

    @property
    def lineage(self) -> Lineage:
        """The cluster, with the rank that it has reached."""
        return replace(self._lineage, rank=max(self._lineage.rank, self.registry.rank))

    @property
    def serves(self) -> bool:
        """Whether it leads, knows all that former leaders committed, and is not dissolving."""
        return self.duty is not None and self._ready and not self._merging

    @property
    def leader(self) -> Voter | None:
        """Who leads the log, as far as its configuration tells who that is."""
        for voter in (self.me, *self.raft.configuration.everyone):
            if voter.member == self.raft.leader:
                return voter
        return None

    @property
    def heir(self) -> MemberId | None:
        """Who should lead when this leader leaves: the other voter that has most of the log."""
        leadership = self.raft.leadership
        if leadership is None:
            return None
        voting = self.raft.configuration.voting
        heirs = [member for member in leadership.progress if member in voting]
        return max(heirs, key=lambda each: leadership.progress[each].match, default=None)

    def reported(self, beat: Beat, now: float) -> raft.ReadAsked:
        """A node beats; to be answered once it is confirmed, after this, that this node leads."""
        assert self.duty is not None
        self.duty.beat(beat, self.registry, now)
        return raft.ReadAsked(token=_Renewal(node=node_of(beat.me.member), beat=beat))

    def merger(self, into: Lineage, leader: Voter) -> raft.ReadAsked:
        """Dissolve, once it is confirmed that this node leads; until then, serve nobody."""
        self._merging = True
        return raft.ReadAsked(token=Merger(into=into, leader=leader))

    def step(self, event: raft.Event, now: float) -> Merger | None:
        """Hand an event to the log, and deal with what comes of it.

        The cluster that this one has been dissolved into, if so: then this seat is to be left.
        """
        self._now = now
        changed = False
        for effect in self.raft.handle(event, now):
            if isinstance(effect, raft.Confirmed) and isinstance(effect.token, Merger):
                self._dissolve(effect.token)
                return effect.token
            changed |= self._carry(effect)
        if changed and self.duty is not None:
            self._outbox.post(telling.publication(self._view(), self.duty.attached))
        if self.raft.commit - self.raft.log.snapshot.index > COMPACT_AFTER:
            effects = self.raft.handle(raft.Compacted(registry=self.registry), now)
            self._outbox.add(*(each for each in effects if isinstance(each, raft.Persist)))
        return None

    def upkeep(self, now: float) -> None:
        """What a leader that serves does on its own, at its heartbeat's pace."""
        duty = self.duty
        if duty is None or now < self._plan_at:
            return
        self._plan_at = now + self._timing.tick_s
        duty.forget_gone(now)
        for command in duty.commands(self.registry, self._members.by_node, now):
            self._propose(command, now)
        if self.raft.leadership is not None:
            self._reconfigure(duty, self.raft.leadership, now)
            self._probe(duty, now)

    def end(self) -> None:
        """Stop leading: nobody will hear from here what became of the proposals."""
        self.duty = None
        self._ready = False
        self._merging = False
        for asker in self._proposed.values():
            answer(self._outbox, asker, "unknown")
        self._proposed.clear()

    def check(self) -> None:
        """Assert the invariants."""
        self.raft.check()
        assert (self.duty is None) == (self.raft.leadership is None)
        assert self.duty is not None or not (self._ready or self._merging or self._proposed)

    # Leading

    def _propose(self, command: Command, now: float) -> None:
        self.step(raft.Proposed(command=command, token=_Upkeep(command=command)), now)

    def _reconfigure(self, duty: Duty, leadership: Leadership, now: float) -> None:
        log = self.raft.log
        settled = max(log.configured_at, leadership.start) <= self.raft.commit
        if not settled or leadership.successor is not None:
            return
        step = duty.reconfigure(log, leadership, self._members.by_node, now)
        if isinstance(step, HandOver):
            self.step(raft.TransferAsked(target=step.target), now)
        elif step is not None:
            self._propose(step, now)

    def _probe(self, duty: Duty, now: float) -> None:
        if now < self._probe_at:
            return
        self._probe_at = now + self._timing.probe_s
        strangers = duty.strangers(self._members.by_node.values(), now)
        self._outbox.post(telling.probes(self.lineage, self.me, strangers))

    def _view(self) -> View:
        return telling.view_of(self.raft, self.registry, self.lineage, self.me)

    def _renew(self, duty: Duty, renewal: _Renewal) -> None:
        reply = telling.renewal(
            renewal.beat,
            view=self._view(),
            clock=duty.clock,
            registry=self.registry,
            timing=self._timing,
        )
        duty.clock.told(reply.leases, renewal.beat.session)
        self._outbox.send(renewal.node, reply, renewal.beat.me.address)

    def _dissolve(self, merger: Merger) -> None:
        assert self.duty is not None
        message = Dissolve(
            lineage=self.lineage, term=self.raft.term, into=merger.into, leader=merger.leader
        )
        configuration = self.raft.configuration
        self._outbox.post(telling.dissolution(message, self.me, self.duty.attached, configuration))
        into = merger.into.cluster[:8]
        self._outbox.note(f"dissolve this cluster into {into}, which outranks it")

    # What comes of the log

    def _carry(self, effect: raft.Effect) -> bool:
        """One effect of the log; whether the state changed."""
        match effect:
            case raft.Persist():
                self._outbox.add(effect)
            case raft.Send():
                self._send(effect)
            case raft.Applied():
                return self._apply(effect)
            case raft.Restored():
                self.registry = effect.snapshot.registry
            case raft.Accepted():
                if isinstance(effect.token, OwnRequest | OthersRequest):
                    self._proposed[(effect.index, effect.term)] = effect.token
            case raft.Refused():
                self._refused(effect.token)
            case raft.Confirmed():
                self._confirmed(effect.token)
            case raft.Elected():
                self._take_office(effect.contact_at)
            case raft.Deposed():
                self._outbox.note(f"do not lead any more, in term {self.raft.term}")
                self._fresh = False
                self.end()
            case _:
                assert_never(effect)
        return False

    def _take_office(self, contact_at: float) -> None:
        self.duty = Duty(
            timing=self._timing,
            clock=LeaseClock(timing=self._timing, contact_at=contact_at),
            wanted=self._wanted,
            fresh=self._fresh,
            now=self._now,
        )
        self._outbox.note(f"lead in term {self.raft.term}")

    def _send(self, effect: raft.Send) -> None:
        envelope = Envelope(
            lineage=self.lineage,
            sender=self.me.member,
            target=effect.target,
            body=effect.message,
        )
        address = self._members.address_of(effect.target, self.raft.configuration)
        self._outbox.send(node_of(effect.target), envelope, address)

    def _apply(self, effect: raft.Applied) -> bool:
        entry, leadership = effect.entry, self.raft.leadership
        before = self.registry
        self.registry = applied(before, entry.command)
        if self.duty is None:
            return False
        if not self._ready and leadership is not None and entry.index >= leadership.start:
            self._ready = True
            self._outbox.post(telling.announcement(self._view(), self._members.others()))
        self.duty.took_effect(entry.command, self.registry, self._now)
        asker = self._proposed.pop((entry.index, entry.term), None)
        if asker is not None:
            answer(self._outbox, asker, "done", self._view())
        return self.registry != before or isinstance(entry.command, Configure)

    def _refused(self, token: object) -> None:
        match token:
            case OwnRequest() | OthersRequest():
                answer(self._outbox, token, "refused")
            case _Upkeep() if self.duty is not None:
                self.duty.refused(token.command)
            case Merger():
                self._merging = False
            case _:
                pass

    def _confirmed(self, token: object) -> None:
        match token:
            case OwnRequest() | OthersRequest():
                answer(self._outbox, token, "done", self._view())
            case _Renewal() if self.duty is not None:
                self._renew(self.duty, token)
            case _:
                pass
