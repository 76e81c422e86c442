"""What a node does when it hears of a cluster: the decisions, as functions without state."""

from __future__ import annotations

import enum

from eagle_node.consensus.messages import Dissolve
from eagle_node.consensus.records import Lineage
from eagle_node.consensus.timing import Timing

_LONELY = 4
"""Longest election timeouts without a leader after which a node looks at other clusters."""


class Place(enum.Enum):
    """A node's place in the cluster that it follows."""

    OBSERVER = enum.auto()
    """It has no log."""
    MEMBER = enum.auto()
    """It has a log, and does not lead."""
    LEADER = enum.auto()
    """It leads."""
    BOUND = enum.auto()
    """It leads, but not with everything applied that it began with, or is dissolving already."""


class Move(enum.Enum):
    """What to do about another cluster."""

    STAY = enum.auto()
    FOLLOW = enum.auto()
    """There is nothing to leave."""
    GO_OVER = enum.auto()
    """Leave this cluster alone."""
    DISSOLVE = enum.auto()
    """Lead everybody there, once a majority has confirmed that this node leads."""


def is_lonely(silence_s: float, timing: Timing) -> bool:
    """Whether a leader has been silent for too long to wait for it or for its successor."""
    return silence_s > _LONELY * timing.election_max_s


def move(mine: Lineage | None, theirs: Lineage, place: Place, *, lonely: bool) -> Move:
    """Whether to go to another cluster, which has a leader.

    A leader goes with all its nodes, and only upwards. Without one, an observer goes anywhere; a
    member only upwards, for its log may be needed where it is.
    """
    if mine is None:
        return Move.FOLLOW
    if mine.cluster == theirs.cluster:
        return Move.STAY
    upwards = theirs.outranks(mine)
    match place:
        case Place.LEADER:
            return Move.DISSOLVE if upwards else Move.STAY
        case Place.BOUND:
            return Move.STAY
        case Place.OBSERVER:
            return Move.GO_OVER if upwards or lonely else Move.STAY
        case Place.MEMBER:
            return Move.GO_OVER if upwards and lonely else Move.STAY


def obeys(message: Dissolve, following: Lineage | None, term: int | None) -> bool:
    """Whether to go where a leader sends its nodes; ``term`` is that of this node's log, if any.

    Not at the word of another cluster's leader, nor of one that was deposed since.
    """
    if following is None or following.cluster != message.lineage.cluster:
        return False
    return term is None or message.term >= term
