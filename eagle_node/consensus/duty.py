"""What the leader does for the cluster: knows who follows, plans leases and voters. Sans-IO."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from eagle_node.base.ids import NodeId
from eagle_node.consensus.leadership import Leadership
from eagle_node.consensus.leases import LeaseClock, lease_record
from eagle_node.consensus.log import Log
from eagle_node.consensus.messages import Beat
from eagle_node.consensus.policy import (
    VIP,
    Assignment,
    Candidate,
    Wanted,
    plan_leases,
    plan_voters,
    role_of,
)
from eagle_node.consensus.records import (
    Command,
    Configuration,
    Configure,
    Grant,
    LeaseRecord,
    MemberId,
    RaiseRank,
    Registry,
    Revoke,
    Voter,
    node_of,
)
from eagle_node.consensus.timing import OBSERVERS, Timing

_SHY_S = 10.0
"""A node that gave a lease up by itself is not asked again for so long."""
_MISSED = 2.5
"""Beats that a node may miss before nothing is granted to it."""


def observe_s(timing: Timing, members: int) -> float:
    """Between beats of nodes that neither vote nor hold a lease."""
    return timing.observe_s * max(1.0, members / OBSERVERS)


@dataclass(slots=True, kw_only=True)
class Attached:
    """A node that follows this leader."""

    voter: Voter
    seen_at: float
    version: int
    leaving: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """The lead should go to another voter."""

    target: MemberId


class Duty:
    """One leader's term of office.

    Invariant: at most one command for a lease is on its way at a time.
    """

    def __init__(
        self, *, timing: Timing, clock: LeaseClock, wanted: Wanted, fresh: bool, now: float
    ) -> None:
        self.attached: dict[NodeId, Attached] = {}
        self.clock = clock
        self._timing = timing
        self._wanted = wanted
        self._fresh = fresh
        self._since = now
        self._floor = 0
        self._under_way: dict[str, int] = {}
        self._shy: dict[tuple[NodeId, str], float] = {}

    def beat(self, beat: Beat, registry: Registry, now: float) -> None:
        """A node reported."""
        node = node_of(beat.me.member)
        self._floor = max(self._floor, beat.epoch_seen)
        self.attached[node] = Attached(
            voter=beat.me, seen_at=now, version=beat.version, leaving=beat.leaving
        )
        for held in beat.released:
            record = lease_record(registry, held.lease)
            if (
                record.holder == node
                and held.epoch >= record.epoch
                and not self.clock.is_given_up(record)
            ):
                self.clock.release(record, beat.session)
                self._shy[(node, role_of(held.lease))] = now + _SHY_S
        self.clock.renew(registry, node, now)

    def took_effect(self, command: Command, registry: Registry, now: float) -> None:
        """A command was applied; ``registry`` is the state after it."""
        if isinstance(command, Grant | Revoke):
            self._under_way.pop(command.lease, None)
        if isinstance(command, Grant):
            record = lease_record(registry, command.lease)
            if record.epoch > command.expected:
                self.clock.granted(record, now)

    def commands(
        self, registry: Registry, members: Mapping[NodeId, Candidate], now: float
    ) -> list[Command]:
        """Grants and revocations that are due, and the rank that the cluster has reached."""
        present = list(self._present(registry, members, now))
        counts = dict(self._wanted.under(registry))
        if self._fresh and now < self._since + self._timing.lease_s:
            counts.pop(VIP, None)
        usable = [
            replace(record, holder=None) if self.clock.is_released(record) else record
            for record in registry.leases
        ]
        changes = plan_leases(usable, present, counts)
        nodes = {each.node_id for each in present}
        records = [lease_record(registry, change.lease) for change in changes]
        self.clock.let_go(record for record in records if record.holder in nodes)
        due: list[Command] = []
        for change, record in zip(changes, records, strict=True):
            due += self._change(change, record, now)
        rank = max(1, len(self.attached)).bit_length() - 1
        if rank > registry.rank and self._under_way.get("") != rank:
            self._under_way[""] = rank
            due.append(RaiseRank(rank=rank))
        return due

    def refused(self, command: Command) -> None:
        """A command was not taken; it may be tried again."""
        if isinstance(command, Grant | Revoke):
            self._under_way.pop(command.lease, None)
        elif isinstance(command, RaiseRank):
            self._under_way.pop("", None)

    def reconfigure(
        self,
        log: Log,
        leadership: Leadership,
        members: Mapping[NodeId, Candidate],
        now: float,
    ) -> Configure | HandOver | None:
        """The next step towards the voters that the policy wants; None: nothing to do or to do yet.

        One step at a time, each from one configuration to the next (Raft, section 6; thesis, 4.1).
        """
        configuration = log.configuration
        heard = self._heard(configuration, leadership, now)
        voting = {node_of(voter.member) for voter in configuration.voters}
        heirs = [
            each
            for node, each in members.items()
            if node not in voting and each.alive and self._is_attached(node, len(members), now)
        ]
        buried = self._buried(configuration, leadership, members, now)
        heard -= set(buried[: sum("voter" not in heir.never for heir in heirs)])
        seats = {node_of(v.member): v.member for v in configuration.voters if v.member in heard}
        able = [
            each
            for node, each in members.items()
            if node not in seats and each.alive and self._is_attached(node, len(members), now)
        ]
        able += [members.get(node) or _unlisted(node, configuration) for node in seats]
        target = plan_voters(seats, able)
        add = self._addition(configuration, leadership, log, target - seats.keys(), now)
        if add is not None:
            return add
        stale = _moved(configuration, self.attached)
        if stale is not None:
            return stale
        if target - seats.keys() or not target:
            return None
        return self._removal(configuration, leadership, {seats[node] for node in target})

    def forget_gone(self, now: float) -> None:
        """Drop nodes that have not reported for long."""
        for node, each in list(self.attached.items()):
            if each.seen_at < now - self._timing.voter_grace_s:
                del self.attached[node]

    def strangers(self, members: Iterable[Candidate], now: float) -> list[Candidate]:
        """Members that are alive and do not follow."""
        members = list(members)
        return [
            each
            for each in members
            if each.alive and not self._is_attached(each.node_id, len(members), now)
        ]

    def _is_attached(self, node: NodeId, members: int, now: float) -> bool:
        each = self.attached.get(node)
        patience_s = _MISSED * observe_s(self._timing, members)
        return each is not None and not each.leaving and now - each.seen_at < patience_s

    def _present(
        self, registry: Registry, members: Mapping[NodeId, Candidate], now: float
    ) -> Iterable[Candidate]:
        """Who may hold leases: not who is dead, is leaving, or has lately given one up."""
        holders = {record.holder for record in registry.leases}
        for node, attached in self.attached.items():
            if not self._is_attached(node, len(members), now):
                continue
            each = members.get(node)
            if each is None:
                if node not in holders:
                    continue
                each = Candidate(node_id=node, address=attached.voter.address)
            if each.alive or node in holders:
                shy = {role for (n, role), until in self._shy.items() if n == node and now < until}
                yield replace(each, never=each.never | shy, pinned=each.pinned - shy)

    def _change(self, change: Assignment, record: LeaseRecord, now: float) -> list[Command]:
        if change.lease in self._under_way or not self.clock.is_free(record, now):
            return []
        if change.holder is None:
            if record.holder is None:
                return []
            command: Command = Revoke(lease=change.lease, expected=record.epoch)
        else:
            command = Grant(
                lease=change.lease,
                holder=change.holder,
                expected=record.epoch,
                floor=self._floor,
            )
        self._under_way[change.lease] = record.epoch
        return [command]

    def _heard(
        self, configuration: Configuration, leadership: Leadership, now: float
    ) -> set[MemberId]:
        """Voters that are alive, or have not been dead for long; not those that lost their log."""
        heard = {leadership.me}
        for voter in configuration.voters:
            if voter.member == leadership.me:
                continue
            attached = self.attached.get(node_of(voter.member))
            lost = attached is not None and attached.voter.member != voter.member
            silent_s = now - leadership.progress[voter.member].heard_at
            if not lost and silent_s < self._timing.voter_grace_s:
                heard.add(voter.member)
        return heard

    def _buried(
        self,
        configuration: Configuration,
        leadership: Leadership,
        members: Mapping[NodeId, Candidate],
        now: float,
    ) -> list[MemberId]:
        """Voters that are silent and that the gossip has buried: no grace is due where others can
        have their seats, and every further death counts."""
        return [
            voter.member
            for voter in configuration.voters
            if voter.member != leadership.me
            and ((known := members.get(node_of(voter.member))) is None or not known.alive)
            and now - leadership.progress[voter.member].heard_at >= self._timing.election_min_s
        ]

    def _addition(
        self,
        configuration: Configuration,
        leadership: Leadership,
        log: Log,
        wanted: frozenset[NodeId],
        now: float,
    ) -> Configure | None:
        learners = configuration.learners
        useless = tuple(
            each
            for each in learners
            if node_of(each.member) not in wanted
            or (at := self.attached.get(node_of(each.member))) is None
            or at.voter.member != each.member
        )
        if useless:
            rest = tuple(each for each in learners if each not in useless)
            return Configure(configuration=replace(configuration, learners=rest))
        for learner in learners:
            progress = leadership.progress[learner.member]
            recent = now - progress.heard_at < self._timing.election_min_s
            if recent and progress.match == log.last_index:
                return Configure(
                    configuration=Configuration(
                        voters=(*configuration.voters, learner),
                        learners=tuple(each for each in learners if each != learner),
                    )
                )
        fresh = sorted(wanted - {node_of(each.member) for each in learners})
        known = [self.attached[node].voter for node in fresh if node in self.attached]
        if not known or learners:
            return None
        return Configure(configuration=replace(configuration, learners=(*learners, known[0])))

    def _removal(
        self, configuration: Configuration, leadership: Leadership, target: set[MemberId]
    ) -> Configure | HandOver | None:
        surplus = [voter for voter in configuration.voters if voter.member not in target]
        for voter in surplus:
            if voter.member != leadership.me:
                rest = tuple(each for each in configuration.voters if each != voter)
                return Configure(configuration=replace(configuration, voters=rest))
        if surplus:
            heirs = sorted(target, key=lambda each: (-leadership.progress[each].match, each))
            return HandOver(target=heirs[0])
        return None


def _unlisted(node: NodeId, configuration: Configuration) -> Candidate:
    """A voter that the gossip does not know (yet)."""
    voter = next(each for each in configuration.voters if node_of(each.member) == node)
    return Candidate(node_id=node, address=voter.address)


def _moved(configuration: Configuration, attached: Mapping[NodeId, Attached]) -> Configure | None:
    """The configuration with the addresses that its members report."""

    def current(voters: Sequence[Voter]) -> tuple[Voter, ...]:
        return tuple(
            at.voter
            if (at := attached.get(node_of(v.member))) and at.voter.member == v.member
            else v
            for v in voters
        )

    newer = Configuration(
        voters=current(configuration.voters), learners=current(configuration.learners)
    )
    return Configure(configuration=newer) if newer != configuration else None
