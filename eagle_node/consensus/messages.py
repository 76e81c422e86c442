"""What nodes send each other."""

from __future__ import annotations

from dataclasses import dataclass

from eagle_node.base.ids import NodeId
from eagle_node.consensus.records import (
    Entry,
    LeaseRecord,
    Lineage,
    MemberId,
    Setting,
    Snapshot,
    Voter,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestVote:
    """Raft's RequestVote (figure 2)."""

    term: int
    last_index: int
    last_term: int
    pre: bool = False
    """Only asks whether a vote in ``term`` would be given (thesis, 9.6)."""
    transfer: bool = False
    """The leader wants it so: voters need not wait for its silence (thesis, 3.10)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteReply:
    """The answer to `RequestVote`."""

    term: int
    granted: bool
    pre: bool
    silence_s: float
    """Seconds since the voter last heard from a leader, or started: bounds what a leader that the
    voter followed may have promised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """Raft's AppendEntries (figure 2); without entries, a heartbeat."""

    term: int
    prev_index: int
    prev_term: int
    entries: tuple[Entry, ...]
    commit: int
    round: int
    """Number of the leader's last broadcast; its echo proves leadership since then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendReply:
    """The answer to `Append` and `InstallSnapshot`."""

    term: int
    success: bool
    match: int
    """Up to where the logs agree, after success."""
    conflict_index: int
    """After a failure: first index of the term in the way, or the one after the log (5.3)."""
    conflict_term: int
    """The term in the way; 0 when the log is too short."""
    round: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallSnapshot:
    """Raft's InstallSnapshot (section 7), in one piece: the state is a few kilobytes."""

    term: int
    snapshot: Snapshot
    round: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeoutNow:
    """The leader asks its successor to stand for election at once (thesis, 3.10)."""

    term: int


RaftMessage = RequestVote | VoteReply | Append | AppendReply | InstallSnapshot | TimeoutNow


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A raft message between two logs of one cluster."""

    lineage: Lineage
    sender: MemberId
    target: MemberId
    body: RaftMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The cluster as its leader sees it."""

    lineage: Lineage
    leader: Voter
    term: int
    version: int
    """Index of the last entry that is in it."""
    voters: tuple[Voter, ...]
    learners: tuple[Voter, ...]
    leases: tuple[LeaseRecord, ...]
    settings: tuple[Setting, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A lease and its fencing epoch."""

    lease: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """A node reports to the leader, and so renews its leases."""

    lineage: Lineage | None
    """The cluster that it follows."""
    me: Voter
    session: int
    """Drawn at each start: answers to a former process are not taken."""
    sequence: int
    released: tuple[Held, ...]
    """Leases that it no longer uses; repeated until they are somebody else's."""
    version: int
    """Of the view that it has."""
    epoch_seen: int
    """The highest that it has ever seen: the leader grants above it."""
    leaving: bool
    """It is about to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatReply:
    """The leases that the node holds, from the moment when it sent the beat.

    The leader sends it once a majority has confirmed, after the beat had come, that it leads.
    """

    session: int
    sequence: int
    leases: tuple[Held, ...]
    lease_s: float
    view: View | None
    """None when the node has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A leader asks a member that does not follow it which cluster it is in."""

    lineage: Lineage
    leader: Voter


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """Whom to ask: the answer of who does not lead, and to a `Probe`."""

    lineage: Lineage | None
    leader: Voter | None
    """None when it knows of no leader that is alive."""
    me: Voter


@dataclass(frozen=True, slots=True, kw_only=True)
class Dissolve:
    """The leader gives its cluster up: all its nodes go over to a cluster that outranks it."""

    lineage: Lineage
    term: int
    into: Lineage
    leader: Voter


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Asks the leader to set a setting, or to tell the state, in one linearizable step."""

    number: int
    key: str
    """Empty: only read."""
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The outcome of a `Request`."""

    number: int
    status: str
    """``done``; ``refused``: not carried out, and it will not be; ``unknown``: perhaps."""
    view: View | None


Message = Envelope | View | Beat | BeatReply | Probe | Redirect | Dissolve | Request | Response


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """The first frame of either end of a connection."""

    protocol: int
    name: str
    """Of the cluster, as configured."""
    node: NodeId
