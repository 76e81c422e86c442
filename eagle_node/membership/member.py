"""A member, what is believed of it, and which of two beliefs is the newer one."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from eagle_node.base.ids import NodeId
from eagle_node.membership.meta import Meta
from eagle_node.runtime.sockets import Address


class State(enum.IntEnum):
    """What is believed of a member. At the same incarnation the greater one wins."""

    ALIVE = 0
    SUSPECT = 1
    """It did not answer a probe and has some seconds to say that it lives."""
    DEAD = 2
    LEFT = 3
    """It said farewell: nobody looks for it."""

    @property
    def live(self) -> bool:
        """Whether it counts as a member: suspects do."""
        return self < State.DEAD


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One node as somebody believes it to be."""

    node_id: NodeId
    address: Address
    """IP and gossip port, for datagrams and for connections."""
    state: State = State.ALIVE
    incarnation: int = 0
    """Grows with each thing that the member says of itself; nobody else may raise it."""
    meta: Meta = field(default_factory=Meta)

    @property
    def precedence(self) -> tuple[int, int]:
        """The greater one is the newer belief (SWIM, section 4.2).

        Unlike the paper's, a death does not outrank later incarnations: a node that was frozen or
        cut off comes back under the same id.
        """
        return self.incarnation, self.state


@dataclass(frozen=True, slots=True)
class Alive:
    """A member tells of itself: `member.state` is ALIVE."""

    member: Member

    @property
    def node_id(self) -> NodeId:
        """Whom it is about."""
        return self.member.node_id


@dataclass(frozen=True, slots=True)
class Suspect:
    """Some have not reached a member."""

    node_id: NodeId
    incarnation: int
    accusers: tuple[NodeId, ...]
    """Those whose own probes failed, `MAX_ACCUSERS` at the most."""


@dataclass(frozen=True, slots=True)
class Dead:
    """A suspect did not refute in time."""

    node_id: NodeId
    incarnation: int


@dataclass(frozen=True, slots=True)
class Left:
    """A member has said farewell."""

    node_id: NodeId
    incarnation: int


Update = Alive | Suspect | Dead | Left

MAX_ACCUSERS = 4
"""The first and three that confirm (Lifeguard, section 4.B: K = 3)."""
