"""A node as the tracker knows it: what it said of itself, when, and who complained of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from eagle_node.base.ids import NodeId
from eagle_node.tracker.schema import NodeInfo

SUSPECT_S = 60.0
"""Seconds that a complaint counts."""
BAN_VOTES = 2
"""Complaints of different nodes that keep a node, unless a seeder, out of every plan."""
GAUGE_S = 600.0
"""Seconds that a measured rate counts."""
GAUGES = 2
"""Others that must have taken part before a measured rate counts: with one, its own link may have
been the slow one."""
BELIEVED = 4
"""Complaints of one node that are believed at a time: who finds all others bad is bad itself."""


@dataclass(slots=True)
class Known:
    """A live node."""

    info: NodeInfo
    seen: float
    """When it last called, or was restored from the table."""
    called: float = -math.inf
    """When it last called this process."""
    told: bool = False
    """It has been heard of what it holds since it became known, or asked to say so."""
    gone: bool = False
    """Somebody found that nobody answers at its address, after it last called."""
    complaints: dict[NodeId, float] = field(default_factory=dict)
    """Who got no progress from it, and when they first said so."""
    voiced: list[float] = field(default_factory=list)
    """When its own complaints were believed."""
    gauged: dict[tuple[NodeId, bool], tuple[int, float]] = field(default_factory=dict)
    """What came to it from another (or, False, to the other from it): bytes/s, and when told."""

    @property
    def rated(self) -> NodeInfo:
        """The node with the rate that is known of it: measured, and no more than it may send."""
        rates = {other: rate for (other, _), (rate, _) in self.gauged.items() if rate}
        if len(rates) < GAUGES:
            return self.info
        measured = max(rate for rate, _ in self.gauged.values())
        return replace(self.info, upload_rate=min(self.info.upload_rate or measured, measured))

    def has_gauged(self, other: NodeId, now: float) -> bool:
        """Whether it has measured what comes from ``other`` not long ago."""
        _, told = self.gauged.get((other, True), (0, -GAUGE_S))
        return now - told < GAUGE_S

    def gauges_taken(self, now: float) -> int:
        """How many others it has measured against not long ago."""
        return sum(came and self.has_gauged(other, now) for other, came in self.gauged)

    def gauge(self, other: NodeId, rate: int, now: float, *, came: bool) -> None:
        """Take in what ``came`` to it from ``other``, or went there."""
        self.gauged = {
            pair: (known, told)
            for pair, (known, told) in self.gauged.items()
            if now - told < GAUGE_S
        }
        self.gauged[(other, came)] = (rate, now)

    def votes(self, now: float) -> int:
        """Complaints that count: 0 trusted, 1 taken last, `BAN_VOTES` and more not at all."""
        if not self.complaints:
            return 0
        return sum(now - when < SUSPECT_S for when in self.complaints.values())


def complain(complainant: Known, accused: Known, now: float) -> None:
    """Note that ``complainant`` got no progress from ``accused``; saying it again adds nothing."""
    since = accused.complaints.get(complainant.info.node_id)
    if since is not None and now - since < SUSPECT_S:
        return
    complainant.voiced = [when for when in complainant.voiced if now - when < SUSPECT_S]
    if len(complainant.voiced) < BELIEVED:
        complainant.voiced.append(now)
        accused.complaints = {
            who: when for who, when in accused.complaints.items() if now - when < SUSPECT_S
        }
        accused.complaints[complainant.info.node_id] = now
