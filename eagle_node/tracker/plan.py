"""Whom should a joining node take a blob from? One pure, deterministic function.

**One parent each.** When links are equal, a node that feeds two children halves the rate of
everything behind them, while one more hop costs only `HOP_S`. So downloads form a chain: the seeder
feeds the first, each next one hangs on the tail, and the seeder's uplink carries each byte once.
Hanging on a candidate is expected to end after

    (children it feeds + 1) * size / rate  +  hops from a complete copy * HOP_S

and the least is taken. What follows from it: an idle complete holder beats any chain; a busy one
(up to `COMPLETE_SLOTS`) beats a chain that is deep for the blob's size; a chain that has become
deeper than its blob takes to move branches at its top, so that a small blob reaches a thousand
nodes in a tree while a big one goes through them in a line.

**Zones.** A candidate in the joiner's zone beats any outside, so that a zone's border is crossed
once per blob; the first of a zone hangs on the nearest tail outside. The last slot of a node is
kept for a fast child of its own zone. Among equals the nearest counts: rack, then address prefix.
A rack does not make a chain branch: its uplink is rarely scarcer than the node's own.

**Slow nodes** (known upload rate below `SLOW` of the wave's median) are nobody's parent while
another can be had: they end up as leaves beside the chain, and do not count as load there.

**Failures.** A peer in ``failed`` is left out; one that another node complained of comes last. A
child whose parent died takes its place: the nearest ancestor that has shown a sign of life since,
and has a slot. Candidates are complete, or joined before the joiner: nobody waits for somebody who
waits for him.

**Fallbacks** follow the parent, next best first; one outside the zone, and the seeder, are always
among them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from eagle_node.base.ids import NodeId
from eagle_node.tracker.distance import distance, place_of
from eagle_node.tracker.schema import NodeInfo

HOP_S = 0.03
"""Seconds that one more hop costs beyond the transfer (measured: 8 sessions in a row)."""
USUAL_RATE = 12_500_000
"""Bytes/s of a node whose upload rate nobody knows: 100 Mbit/s, so that doubt favours the chain."""
SLOW = 0.5
"""A known rate below this share of the median makes a node slow."""
COMPLETE_SLOTS = 4
"""Children of a node that has the whole blob."""
ARRIVING_SLOTS = 2
"""Children of a node that is itself downloading; the second where zones or depth make it pay."""
SEEDER_SLOTS = 1
"""Children of the seeder, while somebody else can serve."""
MAX_PEERS = 8
"""Peers in a plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A node that the joiner may take the blob from, as seen by the joiner."""

    node: NodeInfo
    complete: bool
    """Has all of the blob, or is its seeder."""
    seeder: bool = False
    """Gets the blob from its origin, for all."""
    growing: bool = False
    """Is downloading; one that is neither complete nor growing has stopped half-way."""
    depth: int = 0
    """Hops from a complete copy."""
    children: int = 0
    """Nodes that it feeds as parent."""
    slow_children: int = 0
    guests: int = 0
    """Those of its children that are slow or of another zone."""
    votes: int = 0
    """Complaints against it that count."""
    ancestor: int = 0
    """How many hops above the joiner it stands in the joiner's own chain; 0: it does not."""
    alive: bool = False
    """It has called after the joiner was last heard of making progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joiner:
    """The node that asks, and what it asks for."""

    node: NodeInfo
    size: int
    """Bytes of the blob."""
    usual_rate: int = USUAL_RATE
    """Median of the upload rates that are known in the wave, bytes/s."""
    failed: Collection[NodeId] = ()
    parent: NodeId | None = None
    """Its parent until now, kept unless it failed."""


def is_slow(node: NodeInfo, usual_rate: int) -> bool:
    """Whether ``node`` is known to send well below what is usual."""
    return 0 < node.upload_rate < usual_rate * SLOW


def slots(candidate: Candidate) -> int:
    """How many children ``candidate`` should feed at the most."""
    if candidate.seeder:
        return SEEDER_SLOTS
    return COMPLETE_SLOTS if candidate.complete else ARRIVING_SLOTS


def plan(candidates: Iterable[Candidate], joiner: Joiner) -> tuple[NodeInfo, ...]:
    """The peers for ``joiner``, its parent first; empty if there is nobody to ask."""
    ranked = sorted(
        (candidate for candidate in candidates if candidate.node.node_id not in joiner.failed),
        key=lambda candidate: _rank(candidate, joiner),
    )
    chosen = ranked[:MAX_PEERS]
    rest = ranked[MAX_PEERS:]
    needed = [
        next((c for c in ranked if c.node.zone != joiner.node.zone), None),
        next((c for c in ranked if c.seeder), None),
    ]
    missing = [candidate for candidate in needed if candidate is not None and candidate in rest]
    chosen = chosen[: MAX_PEERS - len(missing)] + missing
    return tuple(dict.fromkeys(candidate.node for candidate in chosen))


def _rank(candidate: Candidate, joiner: Joiner) -> tuple[object, ...]:
    """Sort key; the first element that differs decides."""
    has_slot = _has_slot(candidate, joiner)
    hopeful = has_slot and (candidate.alive or candidate.complete)
    return (
        candidate.node.node_id != joiner.parent,
        candidate.votes,
        not (candidate.complete or candidate.growing),
        joiner.parent in joiner.failed and not hopeful,
        candidate.ancestor if candidate.ancestor and has_slot else 1 << 30,
        not has_slot,
        _too_slow(candidate, joiner),
        candidate.node.zone != joiner.node.zone,
        round(_ends_after(candidate, joiner), 6),
        distance(place_of(candidate.node), place_of(joiner.node)),
        candidate.node.node_id,
    )


def _has_slot(candidate: Candidate, joiner: Joiner) -> bool:
    limit = slots(candidate)
    if candidate.children >= limit:
        return False
    guest = candidate.node.zone != joiner.node.zone or is_slow(joiner.node, joiner.usual_rate)
    return not guest or candidate.guests < max(1, limit - 1)


def _too_slow(candidate: Candidate, joiner: Joiner) -> bool:
    wanted = min(joiner.node.upload_rate or joiner.usual_rate, joiner.usual_rate)
    return is_slow(candidate.node, wanted)


def _ends_after(candidate: Candidate, joiner: Joiner) -> float:
    """Seconds until the joiner would have the blob."""
    load = candidate.children
    if not is_slow(joiner.node, joiner.usual_rate):
        load -= candidate.slow_children
    rate = min(candidate.node.upload_rate or joiner.usual_rate, joiner.usual_rate)
    return (load + 1) * joiner.size / max(1, rate) + candidate.depth * HOP_S
