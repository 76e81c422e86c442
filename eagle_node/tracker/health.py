"""A node as the tracker knows it: what it said of itself, when, and who complained of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from eagle_node.base.ids import NodeId
from eagle_node.tracker.schema import NodeInfo

SUSPECT_S = 60.0
"""Seconds that a complaint counts."""
BAN_VOTES = 2
"""Complaints of different nodes that keep a node, unless a seeder, out of every plan."""
BELIEVED = 4
"""Complaints of one node that are believed at a time: who finds all others bad is bad itself."""


@dataclass(slots=True)
class Known:
    """A live node."""

    info: NodeInfo
    seen: float
    """When it last called."""
    gone: bool = False
    """Somebody found that nobody answers at its address, after it last called."""
    complaints: dict[NodeId, float] = field(default_factory=dict)
    """Who got no progress from it, and when they first said so."""
    voiced: list[float] = field(default_factory=list)
    """When its own complaints were believed."""

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
