"""What only a leader knows: how far each follower is, and who has confirmed it when."""

from __future__ import annotations

from dataclasses import dataclass, field

from eagle_node.consensus.log import Log
from eagle_node.consensus.messages import Append, AppendReply, InstallSnapshot
from eagle_node.consensus.records import Configuration, MemberId

MOST_ENTRIES = 64
"""In one message."""


@dataclass(slots=True, kw_only=True)
class Progress:
    """One follower: Raft's nextIndex and matchIndex, and its last sign of life."""

    next: int
    match: int = 0
    round: int = 0
    """The last broadcast that it answered."""
    heard_at: float


@dataclass(slots=True, kw_only=True)
class Leadership:
    """From the election of one leader to its end.

    Invariants: ``match < next`` for every follower; rounds only grow; there is a `Progress` for
    each other member of the configuration and for nobody else.
    """

    me: MemberId
    term: int
    start: int
    """Index of the leader's first entry: what is committed before it says nothing (5.4.2)."""
    heard_floor: float
    """Silence counts from here at the earliest."""
    beat_at: float = 0.0
    """When the next heartbeat is due."""
    round: int = 0
    progress: dict[MemberId, Progress] = field(default_factory=dict)
    reads: list[tuple[int, int, object]] = field(default_factory=list)
    """(round that must be answered, index that must be applied, token)."""
    successor: MemberId | None = None
    succeeds_by: float = 0.0

    def follow(self, configuration: Configuration, last_index: int, now: float) -> None:
        """Keep track of the members of ``configuration``."""
        others = {voter.member for voter in configuration.everyone} - {self.me}
        for member in self.progress.keys() - others:
            del self.progress[member]
        for member in sorted(others - self.progress.keys()):
            self.progress[member] = Progress(next=last_index + 1, heard_at=now)

    def message_for(self, member: MemberId, log: Log, commit: int) -> Append | InstallSnapshot:
        """What a follower lacks; a heartbeat when it lacks nothing."""
        previous = self.progress[member].next - 1
        previous_term = log.term_at(previous)
        if previous_term is None:
            return InstallSnapshot(term=self.term, snapshot=log.snapshot, round=self.round)
        return Append(
            term=self.term,
            prev_index=previous,
            prev_term=previous_term,
            entries=log.since(previous + 1, MOST_ENTRIES),
            commit=commit,
            round=self.round,
        )

    def take_reply(self, sender: MemberId, reply: AppendReply, log: Log, now: float) -> bool:
        """Note the answer of this term; whether the follower lacks more."""
        progress = self.progress[sender]
        progress.heard_at = now
        progress.round = max(progress.round, min(reply.round, self.round))
        if reply.success:
            progress.match = max(progress.match, min(reply.match, log.last_index))
            progress.next = max(progress.next, progress.match + 1)
            return progress.match < log.last_index
        hint = reply.conflict_index
        if reply.conflict_term and (last := log.last_of_term(reply.conflict_term)) is not None:
            hint = last + 1
        progress.next = max(progress.match + 1, min(hint, progress.next))
        return True

    def committed(self, log: Log, commit: int) -> int:
        """The highest index of this term that a majority stores, or ``commit`` (5.3, 5.4.2)."""
        stored = sorted(
            (self._match(voter.member, log) for voter in log.configuration.voters), reverse=True
        )
        if not stored:
            return commit
        index = stored[log.configuration.quorum() - 1]
        return index if index > commit and log.term_at(index) == self.term else commit

    def confirmed_round(self, configuration: Configuration) -> int:
        """The last broadcast that a majority has answered."""
        rounds = sorted((self._round(voter.member) for voter in configuration.voters), reverse=True)
        return rounds[configuration.quorum() - 1] if rounds else 0

    def majority_heard_at(self, configuration: Configuration, now: float) -> float:
        """Since when no majority has been heard."""
        times = sorted(self._heard(voter.member, now) for voter in configuration.voters)
        heard = times[-configuration.quorum()] if times else now
        return max(heard, self.heard_floor)

    def check(self, log: Log) -> None:
        """Assert the invariants."""
        others = {voter.member for voter in log.configuration.everyone} - {self.me}
        assert self.progress.keys() == others
        for progress in self.progress.values():
            assert progress.match < progress.next
            assert progress.round <= self.round

    def _match(self, member: MemberId, log: Log) -> int:
        return log.last_index if member == self.me else self.progress[member].match

    def _round(self, member: MemberId) -> int:
        return self.round if member == self.me else self.progress[member].round

    def _heard(self, member: MemberId, now: float) -> float:
        return now if member == self.me else self.progress[member].heard_at
