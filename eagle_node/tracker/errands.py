"""Errands: blobs that somebody wants at certain nodes, left at a tracker for them. No IO.

Nodes dial trackers, never the other way round, so this reaches nodes behind firewalls as well. The
owner of an errand leaves it again and again, and is told each time how far the nodes are; when it
stops, the errand is forgotten. A node learns from the answer to an advert that something waits for
it, and then reports and asks until it is done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from eagle_node.base.ids import NodeId
from eagle_node.tracker.errand_schema import Errand, Report

KEEP_S = 30.0
"""How long an errand stays that its owner does not renew."""
MOST_ERRANDS = 256


@dataclass(slots=True)
class _Left:
    """An errand at the tracker."""

    errand: Errand
    due: float
    """Forgotten then, unless it is renewed."""
    reports: dict[NodeId, Report] = field(default_factory=dict)

    def waits_for(self, node: NodeId) -> bool:
        report = self.reports.get(node)
        return node in self.errand.targets and (report is None or not report.ended)


class ErrandBoard:
    """The errands of one tracker.

    Invariant: reports come from targets only.
    """

    def __init__(self) -> None:
        self._left: dict[str, _Left] = {}

    def leave(self, errand: Errand, now: float) -> Mapping[NodeId, Report] | None:
        """Leave or renew an errand: what its targets have reported; None when there is no room."""
        self.expire(now)
        left = self._left.get(errand.id)
        if left is None:
            if len(self._left) >= MOST_ERRANDS:
                return None
            left = self._left[errand.id] = _Left(errand, now + KEEP_S)
        left.errand, left.due = errand, now + KEEP_S
        return left.reports

    def withdraw(self, errand_id: str) -> None:
        """Nobody wants it any more."""
        self._left.pop(errand_id, None)

    def pick_up(self, node: NodeId, reports: Iterable[Report], now: float) -> list[Errand]:
        """Take a node's reports; the errands that wait for it, done or not."""
        self.expire(now)
        for report in reports:
            left = self._left.get(report.errand)
            if left is not None and node in left.errand.targets:
                left.reports[node] = report
        return [
            replace(left.errand, targets=(node,))
            for left in self._left.values()
            if node in left.errand.targets
        ]

    def waits_for(self, node: NodeId) -> bool:
        """Whether a node has something to do that it has not ended."""
        return any(left.waits_for(node) for left in self._left.values())

    def expire(self, now: float) -> None:
        """Forget what nobody has renewed."""
        for errand_id in [each for each, left in self._left.items() if left.due < now]:
            del self._left[errand_id]

    def check(self) -> None:
        """Assert the invariant."""
        for left in self._left.values():
            assert left.reports.keys() <= set(left.errand.targets)
