"""Values that are replicated: commands, log entries, leases, settings, configurations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NewType

from eagle_node.base.ids import NodeId
from eagle_node.runtime.sockets import Address

MemberId = NewType("MemberId", str)
"""A node's id, a dash and 8 hex digits drawn with each new log.

A node that lost its log must not vote as the one that had it: it may have promised something.
"""


def node_of(member: MemberId) -> NodeId:
    """Whose log it is."""
    return NodeId(member.rpartition("-")[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Voter:
    """A log, and where its node listens."""

    member: MemberId
    host: str
    port: int

    @property
    def address(self) -> Address:
        """Host and raft port."""
        return Address(self.host, self.port)


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Whose word counts, and who is being brought up to date (Raft, section 6; thesis, 4.2.1)."""

    voters: tuple[Voter, ...] = ()
    learners: tuple[Voter, ...] = ()

    @property
    def voting(self) -> frozenset[MemberId]:
        """Ids of the voters."""
        return frozenset(voter.member for voter in self.voters)

    @property
    def everyone(self) -> tuple[Voter, ...]:
        """Voters, then learners."""
        return (*self.voters, *self.learners)

    def quorum(self) -> int:
        """How many voters are a majority."""
        return len(self.voters) // 2 + 1

    def is_majority(self, members: Iterable[MemberId]) -> bool:
        """Whether ``members`` hold a majority of the votes."""
        return bool(self.voters) and len(self.voting & set(members)) >= self.quorum()


@dataclass(frozen=True, slots=True, kw_only=True)
class Noop:
    """A new leader's first entry: with it the entries of former terms commit (Raft, 5.4.2, 8)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configure:
    """Another configuration, in force once it is in a log (Raft, section 6)."""

    configuration: Configuration


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Gives a lease to a node, provided that its epoch is still the expected one."""

    lease: str
    holder: NodeId
    expected: int
    floor: int = 0
    """The new epoch is above it: the highest that a node has seen, in whatever cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoke:
    """Takes a lease from its holder, provided that its epoch is still the expected one."""

    lease: str
    expected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSetting:
    """Sets a cluster setting; an empty value removes it."""

    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RaiseRank:
    """Notes how large the cluster has been; see `Lineage`."""

    rank: int


Command = Noop | Configure | Grant | Revoke | SetSetting | RaiseRank


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One position of the log."""

    index: int
    term: int
    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRecord:
    """Who holds a lease; ``epoch`` grows with each grant and fences former holders off."""

    name: str
    holder: NodeId | None
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A cluster setting."""

    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """What the log amounts to."""

    leases: tuple[LeaseRecord, ...] = ()
    """By name, each name once."""
    settings: tuple[Setting, ...] = ()
    """By key, each key once."""
    epoch: int = 0
    """The highest that any lease has had."""
    rank: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state after the entry ``index`` of ``term``, in place of all entries up to it."""

    index: int = 0
    term: int = 0
    configuration: Configuration = Configuration()
    registry: Registry = Registry()


@dataclass(frozen=True, slots=True, kw_only=True)
class Durable:
    """What a member must not forget (Raft, figure 2: persistent state), and its snapshot."""

    term: int = 0
    vote: MemberId | None = None
    snapshot: Snapshot = Snapshot()
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Which cluster, and which of two goes on when they meet.

    The larger one; of equals the older one. ``created_ms`` is a wall clock's word, so it may be
    wrong: then the other one goes on, and nothing else happens.
    """

    cluster: str
    """32 hex digits, drawn when the cluster started."""
    created_ms: int
    rank: int = 0
    """Logarithm (base 2) of the most nodes that the cluster has had. Only grows, so of two clusters
    that judge each other by old news never both give up."""

    def outranks(self, other: Lineage) -> bool:
        """Whether the other one's nodes should come here; never both ways, never for itself."""
        if self.cluster == other.cluster:
            return False
        mine = (-self.rank, self.created_ms, self.cluster)
        return mine < (-other.rank, other.created_ms, other.cluster)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Under what name a node takes part in which cluster."""

    member: MemberId
    lineage: Lineage | None = None
    """None: in no cluster's log."""
