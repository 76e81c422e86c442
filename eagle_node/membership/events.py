"""What happens to a member, what it wants done, and what it tells: facts, commands, changes."""

from __future__ import annotations

from dataclasses import dataclass

from eagle_node.base.ids import NodeId
from eagle_node.membership.member import Member
from eagle_node.membership.meta import Meta
from eagle_node.membership.wire import Exchange, Packet
from eagle_node.runtime.sockets import Address


@dataclass(frozen=True, slots=True)
class PacketArrived:
    """A datagram of this cluster came from ``source``."""

    packet: Packet
    source: Address


@dataclass(frozen=True, slots=True)
class ExchangeArrived:
    """The other side of a push-pull has told all that it knows.

    ``contacted``: the address that this side had dialled; None when the other one dialled.
    """

    exchange: Exchange
    contacted: Address | None


@dataclass(frozen=True, slots=True)
class ExchangeFailed:
    """Nobody of this cluster answered at a dialled address."""

    address: Address


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing listens where a member should: its host answers, and its process is gone."""

    member: Member


@dataclass(frozen=True, slots=True)
class Ticked:
    """The time that `Machine.due` named has come."""


@dataclass(frozen=True, slots=True)
class MetaSet:
    """This node has something else to say of itself."""

    meta: Meta


@dataclass(frozen=True, slots=True)
class ContactsSet:
    """The addresses at which the cluster may be found are these."""

    addresses: frozenset[Address]


@dataclass(frozen=True, slots=True)
class LeaveAsked:
    """This node is about to end and shall say so."""


Event = (
    PacketArrived
    | ExchangeArrived
    | ExchangeFailed
    | Refused
    | Ticked
    | MetaSet
    | ContactsSet
    | LeaveAsked
)


@dataclass(frozen=True, slots=True)
class Joined:
    """A node is a member that was none before."""

    member: Member


@dataclass(frozen=True, slots=True)
class Updated:
    """A member says something else of itself, or is suspected, or has refuted that."""

    member: Member
    before: Member


@dataclass(frozen=True, slots=True)
class Gone:
    """A member is dead or has left; `member.state` says which."""

    member: Member


@dataclass(frozen=True, slots=True)
class DuplicateId:
    """Another process uses this node's id: its data directory was copied.

    Other members know one of the two only; which one may differ between them.
    """

    node_id: NodeId
    ours: Address
    theirs: Address


@dataclass(frozen=True, slots=True)
class Alone:
    """None of the addresses to join at answers, and no member is known; attempts go on."""

    addresses: frozenset[Address]


@dataclass(frozen=True, slots=True)
class Found:
    """The first other member is known (again)."""

    member: Member


Change = Joined | Updated | Gone | DuplicateId | Alone | Found


@dataclass(frozen=True, slots=True)
class Send:
    """Send a datagram."""

    to: Address
    packet: Packet


@dataclass(frozen=True, slots=True)
class Contact:
    """Dial an address for a push-pull; the outcome comes back as an event."""

    address: Address


@dataclass(frozen=True, slots=True)
class Knock:
    """Find out whether anything listens at a member's address; only a refusal comes back."""

    member: Member


@dataclass(frozen=True, slots=True)
class Tell:
    """Let everybody in this process know."""

    change: Change


Effect = Send | Contact | Knock | Tell
