"""What happens to a node's consensus, and what it wants done."""

from __future__ import annotations

from dataclasses import dataclass

from eagle_node.base.ids import NodeId
from eagle_node.consensus.messages import Message, View
from eagle_node.consensus.policy import Candidate
from eagle_node.consensus.raft_events import Persist
from eagle_node.consensus.records import Identity, Snapshot
from eagle_node.runtime.sockets import Address


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time has passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message of another node."""

    sender: NodeId
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersChanged:
    """Who is in the gossip, this node included."""

    members: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerLost:
    """The other side closed the last connection with a node."""

    node: NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Set ``key``, or with an empty key only read, in one linearizable step."""

    token: object
    key: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseAsked:
    """A lease of this node is not used any longer."""

    lease: str


@dataclass(frozen=True, slots=True)
class LeaveAsked:
    """This node is about to stop: it gives up its leases and, if it can, the lead."""


Event = Ticked | Received | MembersChanged | PeerLost | Asked | ReleaseAsked | LeaveAsked


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """Forget what is stored, and store this instead, before any later effect."""

    identity: Identity
    snapshot: Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """A message for another node; it may get lost."""

    target: NodeId
    address: Address | None
    """Where it listens; None: only over a connection that is there."""
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The outcome of `Asked`: ``done``, ``refused`` (nothing was done) or ``unknown``."""

    token: object
    status: str
    view: View | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """Something for the log."""

    text: str


Effect = Begin | Persist | Send | Answered | Noted
