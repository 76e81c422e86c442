"""How a blob should travel: the shape of its trees, and what a cell of nodes hangs on.

**Cells.** Nodes that ask for a blob at about the same time, in one zone and of one speed, form a
cell; its `forest` says who feeds whom, and carries the blob to all of them at the rate of one link.
A forest of ``n`` nodes needs the blob from outside once and has the uplink of one node to spare, so
cells form a line: the seeder feeds the first, each feeds the next. The seeder's uplink carries
each byte once, and so does each zone's border.

**Shapes.** In a chain each uplink feeds one other node and every node is a hop, cheap (`HOP_S`) but
one of many: the last of 1,000 would end after several times the blob's time. Trees over two
stripes, with two children each, load an uplink no more and have ``log2(n)`` levels only. A level
costs much more than a hop (`LEVEL_S`): two children share an uplink that is just fast enough, and
the one that falls behind catches up slowly. A plain binary tree halves the rate, which small blobs
do not mind. The shape is the one that should end first (`shape_for`); a cell that grows changes it.
More stripes are barely shallower and split each link between more connections.

**Late nodes** do not join the cell of those who are ahead, who would have to wait for them, but
form the next one. A cell is open to others for `open_for_s`. Who comes with a part of the blob,
since another tracker has planned the wave till now, comes in front of those who have less.

**Hosts.** What a cell hangs on, best first: what is free before what feeds somebody already, a
complete holder before nodes that are still downloading, these before the seeder; always in the own
zone if anybody is there at all, near ones before far ones. The cells of a generation that live in
the seeder's zone come first in the line, whoever asked first.

**Slow nodes** (known rate below `SLOW` of what is usual) form cells of their own behind the others;
nobody waits for them but their like. They take what the last of the others has to spare, as many
cells side by side as its uplink feeds (`fan_of`), since every hop costs a slow link more. A slow
holder feeds its like only: the others go to the seeder rather than wait for it.

**Rates** are told by limits, and measured between idle nodes (`ring`, `swarm.gauge`), each against
two others and, if it seems slow, against faster ones: who is fast in one direction with anybody has
a fast link. So a wave knows its slow nodes when it begins, however many blobs it has, and a slow
origin or border makes nobody slow. Links above some 500 Mbit/s are not told apart, nor nodes on one
host. It loses a part where there are several zones: what one has to spare feeds the next, and its
slow nodes, who cross no border for it, share that.

**Laggards.** Where nodes are new, a link has become slow since it was measured, or is fast one way
only, the wave shows it (`gain`): who falls behind the one that feeds it, at less than `SLOW` of its
rate, goes behind all like a slow one, and comes back once it gets enough; if it is the third that
hung on the same node, that one goes instead. It takes two to three adverts, and the time of five of
the largest segments, for each such node: those behind it cannot show what they could get. With five
of 20 nodes at a quarter of a rate that nobody has measured, the fast ones take 2.4 times a direct
download of 27 s and 1.5 times one of 215 s, where they took 4.1 (`tests.sim`). Many among many are
too many: with 20 of 200 most waves still take four times as long. Not found is who is fed by a
complete holder, or from another zone: it may be the border. Nor is anybody while other blobs use
the link as well: they may be what is slow.

**Failures.** A leaver's place in the forest is taken from below. A node that somebody complains of
goes to the end of its cell, so that the complainant comes to its place; a second complaint sets it
apart with the slow ones. The fallbacks behind a parent are, next best first: the ancestors in the
stripe's tree, who never wait for their descendants; complete holders; one source of another zone;
the seeder.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from eagle_node.blobs.segments import layout_of
from eagle_node.tracker.schema import NodeInfo

HOP_S = 0.07
"""Seconds that one more hop of a chain costs (20 nodes on links of 10 and 20 Mbit/s)."""
LEVEL_S = 0.45
"""Seconds that one more level costs where nodes have two children (the same rig)."""
USUAL_RATE = 12_500_000
"""Bytes/s of a node whose rate nobody knows: 100 Mbit/s."""
SLOW = 0.5
"""A known rate below this share of the usual one makes a node slow."""
MAX_PEERS = 8
"""Peers of a stripe in a plan."""
_FAN_SHARE = 0.75
"""Of the uplink of who feeds slow nodes: where they saturate it, its own download is slower."""
_MOST_FAN = 4
"""Connections for each stripe cost more than depth does, beyond that."""
_ANCESTORS = 3
"""Fallbacks next above the parent; the topmost one comes as well."""
_OPEN_SHARE = 0.05
"""A cell is open for this share of the blob's time: the most that its members may wait."""
_OPEN_S = (1.2, 2.0)
"""Bounds of that in seconds: one large cell beats a line of small ones, so doubt keeps it open."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Of a forest."""

    stripes: int
    arity: int


CHAIN = Shape(stripes=1, arity=1)
STRIPED = Shape(stripes=2, arity=2)
TREE = Shape(stripes=1, arity=2)


def shape_for(nodes: int, size: int, usual_rate: int) -> Shape:
    """The shape in which ``nodes`` get ``size`` bytes first."""
    levels = (nodes.bit_length() + 1) * LEVEL_S
    costs = {
        CHAIN: nodes * HOP_S,
        STRIPED: levels if len(layout_of(size).segments) > 1 else math.inf,
        TREE: levels + size / max(1, usual_rate),
    }
    return min(costs, key=lambda shape: costs[shape])


def open_for_s(size: int, usual_rate: int) -> float:
    """Seconds for which nodes may join a cell that gets ``size`` bytes."""
    least, most = _OPEN_S
    return min(most, max(least, _OPEN_SHARE * size / max(1, usual_rate)))


def is_slow(node: NodeInfo, usual_rate: int) -> bool:
    """Whether ``node`` is known to be well below what is usual."""
    return 0 < node.upload_rate < usual_rate * SLOW


def fan_of(rate: int, usual_rate: int) -> int:
    """How many nodes of ``rate`` (0: unknown) one of the usual rate feeds at a time."""
    return min(_MOST_FAN, max(1, int(_FAN_SHARE * usual_rate / rate))) if rate else 1


class Kind(enum.IntEnum):
    """Of a host, best first."""

    COMPLETE = 0
    CELL = 1
    SEEDER = 2


class Room(enum.IntEnum):
    """What a host has to spare for slow nodes, best first."""

    FAST = 0
    """The rate of as many as hang on it then."""
    SLOW = 1
    """Is slow itself, and has one place."""
    NONE = 2
    """They would share what others wait for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What a cell could hang on."""

    kind: Kind
    near: bool
    """In the cell's zone."""
    load: int
    """Cells, or nodes' stripes, that it feeds already."""
    votes: int = 0
    """Complaints that count."""
    lame: bool = False
    """A cell of slow nodes, or a slow holder, for one of others."""
    room: Room = Room.FAST
    """Matters to slow nodes only."""
    distance: tuple[int, int] = (0, 0)
    number: int = 0
    """Of a cell, in the order of the line: the last is the least deep in demand."""


def rank(host: Host) -> tuple[object, ...]:
    """Sort key, best first; the first element that differs decides."""
    return (
        host.votes,
        host.lame,
        not host.near,
        host.room,
        host.load > 0,
        host.kind,
        host.load,
        host.distance,
        -host.number,
    )


def order(
    ancestors: Iterable[NodeInfo], others: Iterable[NodeInfo], failed: Collection[str]
) -> tuple[NodeInfo, ...]:
    """The peers for one stripe: ``ancestors`` from the parent up, then ``others``, without doubles.

    Who is in ``failed`` is left out.
    """
    line = [node for node in ancestors if node.node_id not in failed]
    if len(line) > _ANCESTORS + 1:
        line = [*line[: _ANCESTORS + 1], line[-1]]
    rest = [node for node in others if node.node_id not in failed]
    return tuple(dict.fromkeys([*line, *rest]))[:MAX_PEERS]
