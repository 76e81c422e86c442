"""One member of a raft cluster (Ongaro and Ousterhout, 2014; "thesis": Ongaro, 2014). Sans-IO.

``handle(event, now)`` is the only door to the state. Its effects are to be carried out in order; if
a `Persist` fails, the later ones must not be, and the member must be made anew from the disk.

Beyond the paper: pre-vote and no votes while a leader is heard (thesis, 9.6 and 4.2.3), a leader
without a majority resigns (6.2), learners (4.2.1), leadership transfer (3.10), read index (6.4),
conflict hints (5.3, end).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from random import Random
from typing import assert_never

from eagle_node.consensus.leadership import Leadership
from eagle_node.consensus.log import Log
from eagle_node.consensus.messages import (
    Append,
    AppendReply,
    InstallSnapshot,
    RaftMessage,
    RequestVote,
    TimeoutNow,
    VoteReply,
)
from eagle_node.consensus.raft_events import (
    Accepted,
    Applied,
    Compacted,
    Confirmed,
    Deposed,
    Effect,
    Elected,
    Event,
    PeerLost,
    Persist,
    Proposed,
    ReadAsked,
    Received,
    Refused,
    Restored,
    Send,
    Ticked,
    TransferAsked,
)
from eagle_node.consensus.records import (
    Command,
    Configuration,
    Configure,
    Durable,
    Entry,
    MemberId,
    Noop,
)
from eagle_node.consensus.timing import Timing

_STALLED_TICKS = 4
"""A gap of so many ticks is this process's own stall, which says nothing about others."""
_AFTER_LOSS_S = 0.3
"""Voters that saw the leader's connection close stand for election spread over this time."""

_READ_GAP_S = 0.03
"""Between broadcasts for the sake of reads: those that come in between share the next one."""


class Role(enum.Enum):
    """Of a member (Raft, figure 4)."""

    FOLLOWER = enum.auto()
    PRE_CANDIDATE = enum.auto()
    CANDIDATE = enum.auto()
    LEADER = enum.auto()


class Raft:
    """Invariants: ``term`` and ``commit`` only grow; ``leadership`` is there exactly while LEADER;
    ``snapshot.index <= commit <= last_index``; no message leaves before what it tells is durable.
    """

    def __init__(
        self, *, me: MemberId, durable: Durable, timing: Timing, chance: Random, now: float
    ) -> None:
        self.me = me
        self.term = durable.term
        self.vote = durable.vote
        self.log = Log(durable.snapshot, durable.entries)
        self.commit = durable.snapshot.index
        self.role = Role.FOLLOWER
        self.leader: MemberId | None = None
        self.leadership: Leadership | None = None
        self._timing = timing
        self._chance = chance
        self.contact_at = now
        """Until when a leader may have had this member's word; a former process forgot when."""
        self._loyal_until = now
        """No votes against a leader that was heard so recently."""
        self._ticked_at = now
        self._deadline = now + self._patience_s()
        if self.log.configuration.voting == {me}:
            self._deadline = now
        self._votes: set[MemberId] = set()
        self._voters_contact_at = now
        self._out: list[Effect] = []
        self._unsaved_from: int | None = None
        self._saved = (self.term, self.vote)
        self._unsaved_snapshot = False

    @property
    def configuration(self) -> Configuration:
        """The one in force."""
        return self.log.configuration

    def handle(self, event: Event, now: float) -> Sequence[Effect]:
        """The effects of ``event``, to be performed in order."""
        match event:
            case Received():
                self._receive(event.sender, event.message, now)
            case Ticked():
                self._tick(now)
            case Proposed():
                self._propose(event.command, event.token, now)
            case ReadAsked():
                self._read(event.token)
            case TransferAsked():
                self._transfer(event.target, now)
            case PeerLost():
                self._lose(event.member, now)
            case Compacted():
                self.log.compact(self.commit, event.registry)
                self._unsaved_snapshot = True
            case _:
                assert_never(event)
        self._lead_on(now)
        return self._drain()

    def check(self) -> None:
        """Assert the invariants."""
        self.log.check()
        assert self.log.snapshot.index <= self.commit <= self.log.last_index
        assert self.log.last_term <= self.term
        assert (self.leadership is not None) == (self.role is Role.LEADER)
        assert not self._out
        if self.leadership is not None:
            self.leadership.check(self.log)
            assert self.leader == self.me

    # Time

    def _tick(self, now: float) -> None:
        stalled = now - self._ticked_at > _STALLED_TICKS * self._timing.tick_s
        self._ticked_at = now
        grace_until = now + 2 * self._timing.heartbeat_s
        if self.leadership is not None:
            if stalled:
                self.leadership.heard_floor = grace_until - self._timing.election_max_s
            self._tick_leader(self.leadership, now)
            return
        if stalled:
            self._deadline = max(self._deadline, grace_until)
        if now >= self._deadline and self.me in self.configuration.voting:
            self._stand(now, pre=True)

    def _tick_leader(self, leadership: Leadership, now: float) -> None:
        heard_at = leadership.majority_heard_at(self.configuration, now)
        if now - heard_at > self._timing.election_max_s:
            self._follow(self.term, None, now)
            return
        if leadership.successor is not None and now >= leadership.succeeds_by:
            leadership.successor = None
        if now >= leadership.beat_at:
            self._broadcast(leadership, now)

    def _patience_s(self) -> float:
        return self._chance.uniform(self._timing.election_min_s, self._timing.election_max_s)

    def _lose(self, member: MemberId, now: float) -> None:
        if member == self.leader and self.role is Role.FOLLOWER:
            self.leader = None
            self._loyal_until = now
            self._deadline = min(self._deadline, now + self._chance.uniform(0, _AFTER_LOSS_S))

    # Elections

    def _stand(self, now: float, *, pre: bool, transfer: bool = False) -> None:
        """Become a candidate (5.2), after a majority has said that it would vote so."""
        self.leader = None
        self._votes = {self.me}
        self._voters_contact_at = self.contact_at
        # Nobody leads: after a split vote there is no reason to wait for as long again.
        retry_s = self._chance.uniform(2 * self._timing.heartbeat_s, self._timing.election_min_s)
        self._deadline = now + retry_s
        self.role = Role.PRE_CANDIDATE if pre else Role.CANDIDATE
        if not pre:
            self.term += 1
            self.vote = self.me
        request = RequestVote(
            term=self.term + 1 if pre else self.term,
            last_index=self.log.last_index,
            last_term=self.log.last_term,
            pre=pre,
            transfer=transfer,
        )
        for member in sorted(self.configuration.voting - {self.me}):
            self._send(member, request)
        self._count(now)

    def _count(self, now: float) -> None:
        if not self.configuration.is_majority(self._votes):
            return
        if self.role is Role.PRE_CANDIDATE:
            self._stand(now, pre=False)
        elif self.role is Role.CANDIDATE:
            self._lead(now)

    def _lead(self, now: float) -> None:
        self.role = Role.LEADER
        self.leader = self.me
        self.leadership = leadership = Leadership(
            me=self.me, term=self.term, start=self.log.last_index + 1, heard_floor=now
        )
        self._out.append(Elected(contact_at=self._voters_contact_at))
        self._append(Noop(), now)
        self._broadcast(leadership, now)

    def _follow(self, term: int, leader: MemberId | None, now: float) -> None:
        if self.leadership is not None:
            self.contact_at = now
            self._out.extend(Refused(token=token) for _, _, token in self.leadership.reads)
            self.leadership = None
            self._out.append(Deposed())
        if term > self.term:
            self.term = term
            self.vote = None
        self.role = Role.FOLLOWER
        self.leader = leader
        self._deadline = now + self._patience_s()

    def _asked_for_vote(self, sender: MemberId, request: RequestVote, now: float) -> None:
        loyal = self.role is Role.LEADER or now < self._loyal_until
        if request.term < self.term or (loyal and not request.transfer):
            self._answer_vote(sender, request, granted=False, now=now)
            return
        current = (request.last_term, request.last_index) >= (
            self.log.last_term,
            self.log.last_index,
        )
        if request.pre:
            granted = current and request.term > self.term
            self._answer_vote(sender, request, granted=granted, now=now)
            return
        if request.term > self.term:
            self._follow(request.term, None, now)
        granted = current and self.vote in (None, sender) and self.role is not Role.LEADER
        if granted:
            self.vote = sender
            self._deadline = now + self._patience_s()
        self._answer_vote(sender, request, granted=granted, now=now)

    def _answer_vote(
        self, sender: MemberId, request: RequestVote, *, granted: bool, now: float
    ) -> None:
        """A promise is of the term that was asked for, which may be well above this member's."""
        term = request.term if request.pre and granted else self.term
        silence_s = max(0.0, now - self.contact_at)
        self._send(
            sender, VoteReply(term=term, granted=granted, pre=request.pre, silence_s=silence_s)
        )

    def _voted(self, sender: MemberId, reply: VoteReply, now: float) -> None:
        wanted = self.term + 1 if self.role is Role.PRE_CANDIDATE else self.term
        counts = reply.pre == (self.role is Role.PRE_CANDIDATE)
        if reply.granted and counts and reply.term == wanted:
            self._votes.add(sender)
            heard_at = now - reply.silence_s * (1 - self._timing.drift)
            self._voters_contact_at = max(self._voters_contact_at, heard_at)
            self._count(now)
        elif reply.term > self.term and not reply.granted:
            self._follow(reply.term, None, now)

    # Messages

    def _receive(self, sender: MemberId, message: RaftMessage, now: float) -> None:
        match message:
            case RequestVote():
                self._asked_for_vote(sender, message, now)
            case VoteReply():
                self._voted(sender, message, now)
            case Append():
                if self._heed(sender, message.term, message.round, now):
                    self._take_entries(sender, message)
            case InstallSnapshot():
                if self._heed(sender, message.term, message.round, now):
                    self._take_snapshot(sender, message)
            case AppendReply():
                self._replied(sender, message, now)
            case TimeoutNow():
                if message.term == self.term and self.me in self.configuration.voting:
                    self._stand(now, pre=False, transfer=True)
            case _:
                assert_never(message)

    def _heed(self, sender: MemberId, term: int, round_: int, now: float) -> bool:
        """Whether ``sender`` leads this term; one of an older term is told so."""
        if term < self.term:
            self._reply(sender, round_, success=False)
            return False
        if term == self.term and self.role is Role.LEADER:
            return False
        self._follow(term, sender, now)
        self.contact_at = now
        self._loyal_until = now + self._timing.election_min_s
        return True

    def _take_entries(self, sender: MemberId, message: Append) -> None:
        entries, previous, previous_term = message.entries, message.prev_index, message.prev_term
        if previous < self.log.snapshot.index:
            entries = tuple(each for each in entries if each.index > self.log.snapshot.index)
            previous, previous_term = self.log.snapshot.index, self.log.snapshot.term
        found = self.log.term_at(previous)
        if found is None:
            self._reply(sender, message.round, success=False, conflict=self.log.last_index + 1)
            return
        if found != previous_term:
            first = self.log.first_of_term(previous)
            self._reply(sender, message.round, success=False, conflict=first, term=found)
            return
        for position, entry in enumerate(entries):
            term = self.log.term_at(entry.index)
            if term == entry.term:
                continue
            if term is not None:
                assert entry.index > self.commit, "a committed entry would be lost"
                self.log.truncate(entry.index)
            self.log.append(entries[position:])
            self._unsaved_from = min(self._unsaved_from or entry.index, entry.index)
            break
        agreed = previous + len(entries)
        self._commit_to(min(message.commit, agreed))
        self._reply(sender, message.round, success=True, match=agreed)

    def _take_snapshot(self, sender: MemberId, message: InstallSnapshot) -> None:
        snapshot = message.snapshot
        if snapshot.index > self.commit:
            self.log.install(snapshot)
            self.commit = snapshot.index
            self._unsaved_from = snapshot.index + 1
            self._unsaved_snapshot = True
            self._out.append(Restored(snapshot=snapshot))
        self._reply(sender, message.round, success=True, match=snapshot.index)

    def _reply(
        self,
        target: MemberId,
        round_: int,
        *,
        success: bool,
        match: int = 0,
        conflict: int = 0,
        term: int = 0,
    ) -> None:
        self._send(
            target,
            AppendReply(
                term=self.term,
                success=success,
                match=match,
                conflict_index=conflict,
                conflict_term=term,
                round=round_,
            ),
        )

    def _replied(self, sender: MemberId, reply: AppendReply, now: float) -> None:
        if reply.term > self.term:
            self._follow(reply.term, None, now)
        leadership = self.leadership
        if leadership is None or reply.term < self.term or sender not in leadership.progress:
            return
        before = leadership.progress[sender].next
        lacks = leadership.take_reply(sender, reply, self.log, now)
        if lacks and (not reply.success or leadership.progress[sender].next > before):
            self._replicate(leadership, sender)
        if leadership.successor == sender and not lacks:
            self._send(sender, TimeoutNow(term=self.term))

    # Leading

    def _propose(self, command: Command, token: object, now: float) -> None:
        leadership = self.leadership
        if leadership is None or leadership.successor is not None or not self._may(command):
            self._out.append(Refused(token=token))
            return
        index = self._append(command, now)
        self._out.append(Accepted(token=token, index=index, term=self.term))
        for member in leadership.progress:
            self._replicate(leadership, member)

    def _may(self, command: Command) -> bool:
        """Configurations change one voter at a time, and not before this term has committed one
        entry and the last change (thesis, 4.1; the term's entry: the erratum of 2015)."""
        if not isinstance(command, Configure):
            return True
        assert self.leadership is not None
        changed = command.configuration.voting ^ self.configuration.voting
        settled = max(self.log.configured_at, self.leadership.start) <= self.commit
        return settled and len(changed) <= 1 and bool(command.configuration.voters)

    def _append(self, command: Command, now: float) -> int:
        assert self.leadership is not None
        entry = Entry(index=self.log.last_index + 1, term=self.term, command=command)
        self.log.append([entry])
        self._unsaved_from = min(self._unsaved_from or entry.index, entry.index)
        self.leadership.follow(self.configuration, entry.index - 1, now)
        return entry.index

    def _broadcast(self, leadership: Leadership, now: float) -> None:
        leadership.round += 1
        leadership.beat_at = now + self._timing.heartbeat_s
        for member in leadership.progress:
            self._replicate(leadership, member)

    def _replicate(self, leadership: Leadership, member: MemberId) -> None:
        self._send(member, leadership.message_for(member, self.log, self.commit))

    def _read(self, token: object) -> None:
        if self.leadership is None:
            self._out.append(Refused(token=token))
            return
        index = max(self.commit, self.leadership.start)
        self.leadership.reads.append((self.leadership.round + 1, index, token))

    def _transfer(self, target: MemberId, now: float) -> None:
        leadership = self.leadership
        if leadership is None or target not in self.configuration.voting - {self.me}:
            return
        leadership.successor = target
        leadership.succeeds_by = now + self._timing.election_max_s
        self._replicate(leadership, target)
        if leadership.progress[target].match == self.log.last_index:
            self._send(target, TimeoutNow(term=self.term))

    def _lead_on(self, now: float) -> None:
        """What follows for a leader from whatever happened: commits, reads, the next broadcast."""
        leadership = self.leadership
        if leadership is None:
            return
        self._commit_to(leadership.committed(self.log, self.commit))
        if self.me not in self.configuration.voting and self.commit >= self.log.configured_at:
            self._follow(self.term, None, now)
            return
        alone = not leadership.progress
        rested = now >= leadership.beat_at - self._timing.heartbeat_s + _READ_GAP_S
        if leadership.reads and leadership.reads[-1][0] > leadership.round and (alone or rested):
            self._broadcast(leadership, now)
        confirmed = leadership.confirmed_round(self.configuration)
        waiting = []
        for read in leadership.reads:
            if read[0] <= confirmed and read[1] <= self.commit:
                self._out.append(Confirmed(token=read[2]))
            else:
                waiting.append(read)
        leadership.reads = waiting

    # Both

    def _commit_to(self, index: int) -> None:
        for entry in self.log.since(self.commit + 1, max(0, index - self.commit)):
            self.commit = entry.index
            self._out.append(Applied(entry=entry))

    def _send(self, target: MemberId, message: RaftMessage) -> None:
        self._out.append(Send(target=target, message=message))

    def _drain(self) -> Sequence[Effect]:
        effects, self._out = self._out, []
        changed = self._unsaved_from is not None or self._unsaved_snapshot
        if not changed and self._saved == (self.term, self.vote):
            return effects
        first = self._unsaved_from
        if first is not None:
            first = max(first, self.log.snapshot.index + 1)
        persist = Persist(
            term=self.term,
            vote=self.vote,
            keep_below=first,
            entries=() if first is None else self.log.since(first),
            snapshot=self.log.snapshot if self._unsaved_snapshot else None,
        )
        self._saved = (self.term, self.vote)
        self._unsaved_from = None
        self._unsaved_snapshot = False
        return [persist, *effects]
