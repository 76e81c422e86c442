"""What happens to a download, and what it wants done: facts in the past tense, commands."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from eagle_node.base.errors import EagleError


@dataclass(frozen=True, slots=True)
class LayoutArrived:
    """The seeder has told the size; segments in ``have`` are here already.

    ``swarmed`` is False for a small blob that comes with the seeder's answer.
    """

    segments: int
    have: frozenset[int]
    swarmed: bool = True


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is missing and wanted has changed; most urgent first.

    ``parts``: beside these segments parts of others are, which come without the swarm.
    """

    indices: tuple[int, ...]
    parts: bool = False


@dataclass(frozen=True, slots=True)
class PartsFailed:
    """No seeder can give the parts that are wanted."""

    error: EagleError


@dataclass(frozen=True, slots=True)
class MetainfoArrived:
    """A segment can be downloaded from the swarm."""

    index: int


@dataclass(frozen=True, slots=True)
class SegmentArrived:
    """A segment is whole and verified."""

    index: int


@dataclass(frozen=True, slots=True)
class ParentLost:
    """A connection to a stripe's parent has ended."""

    stripe: int = 0


@dataclass(frozen=True, slots=True)
class ParentGone:
    """A stripe's parent refuses connections."""

    stripe: int = 0


@dataclass(frozen=True, slots=True)
class Planned:
    """The tracker has answered, or cannot be reached; segments are dealt to ``stripes``."""

    stripes: int = 1


@dataclass(frozen=True, slots=True)
class BytesArrived:
    """The swarm delivered payload for a segment."""

    index: int


@dataclass(frozen=True, slots=True)
class SeederBeat:
    """The seeder is alive and has fetched ``received`` bytes of the blob."""

    received: int
    waiting: bool = False
    """For its turn at the origin."""


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The seeder has sent all metainfo (``error`` None), or cannot go on.

    ``gone``: nobody answers at its address any more.
    """

    error: EagleError | None
    gone: bool = False


@dataclass(frozen=True, slots=True)
class SeedersChanged:
    """So many ``seeders`` are known in all, the newly elected ones last.

    ``next_in_line``: after them it is this node's turn to ask the origin. ``standing``: which of
    them have the role now, in the order in which they became known; None: all.
    """

    seeders: int
    next_in_line: bool = False
    standing: frozenset[int] | None = None


class Parent(enum.Enum):
    """What the peers that a quiet stripe is connected to could do for it."""

    GONE = enum.auto()
    """Nobody is connected."""
    STARVED = enum.auto()
    """They have nothing that is missing here: the fault lies above them."""
    HOLDING = enum.auto()
    """One has what is missing and does not send it."""


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time has passed; ``parents`` by stripe, `Parent.HOLDING` where none is given."""

    parents: tuple[Parent, ...] = ()


Event = (
    LayoutArrived
    | Wanted
    | PartsFailed
    | MetainfoArrived
    | SegmentArrived
    | ParentLost
    | ParentGone
    | Planned
    | BytesArrived
    | SeederBeat
    | StreamEnded
    | SeedersChanged
    | Ticked
)


@dataclass(frozen=True, slots=True)
class PrepareSegment:
    """Add the segment's torrent, so that a child that dials finds it; dial nobody yet."""

    index: int


@dataclass(frozen=True, slots=True)
class StartSegment:
    """Have a prepared segment dial its parent."""

    index: int


@dataclass(frozen=True, slots=True)
class AskPlan:
    """Ask the tracker (again) and dial; ``parent_failed``: the stripe's parent made no progress.

    ``gone``: it is not there any more.
    """

    parent_failed: bool
    gone: bool = False
    stripe: int = 0


@dataclass(frozen=True, slots=True)
class ProbeParent:
    """Find out whether the stripe's parent still accepts connections; if so, dial it again.

    ``pause_s``: first wait so many seconds.
    """

    stripe: int = 0
    pause_s: float = 0.0


@dataclass(frozen=True, slots=True)
class WidenMesh:
    """Dial every peer of the stripe's plan for every active segment of it."""

    stripe: int = 0


@dataclass(frozen=True, slots=True)
class OpenStream:
    """Ask the ``attempt``-th seeder of the digest's order for metainfo."""

    attempt: int


@dataclass(frozen=True, slots=True)
class GoToOrigin:
    """Leave the swarm: the origin fills what is missing. The last effect of a download."""

    reason: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing that is wanted is missing. The last effect of a download."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No source can do better: the origin has refused, there is no room, or what came is wrong.

    The last effect of a download.
    """

    error: EagleError


Ending = GoToOrigin | Finish | GiveUp

Effect = PrepareSegment | StartSegment | AskPlan | ProbeParent | WidenMesh | OpenStream | Ending
