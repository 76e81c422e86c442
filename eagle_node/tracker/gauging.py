"""Whose links are measured against whose, and what the results say of the nodes at both ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from eagle_node.base.ids import NodeId
from eagle_node.tracker.health import GAUGES, Known
from eagle_node.tracker.plan import is_slow
from eagle_node.tracker.ring import Rings
from eagle_node.tracker.schema import Gauged, NodeInfo

_AROUND = 16
"""Nodes among which one looks for others to be measured against."""
_MOST_GAUGES = 4
"""Nodes that one is measured against at the most, not counting those that measure it."""


class Gauging:
    """Follows the live nodes, which are those of ``nodes``."""

    def __init__(self, nodes: Mapping[NodeId, Known]) -> None:
        self._nodes = nodes
        self._rings = Rings()

    def add(self, info: NodeInfo) -> None:
        """A node lives, as ``info`` says."""
        self._rings.add(info)

    def discard(self, info: NodeInfo) -> None:
        """A node is gone, or not what ``info`` says any more."""
        self._rings.discard(info)

    def partners(
        self, known: Known, now: float, is_busy: Callable[[NodeId], bool]
    ) -> list[NodeInfo]:
        """Against whom a node should measure its link; nobody while it, or they, are busy."""
        if is_busy(known.info.node_id):
            return []
        taken = known.gauges_taken(now)
        others = [
            other
            for other in self._around(known)
            if not other.gone
            and other.info.host != known.info.host
            and not known.has_gauged(other.info.node_id, now)
            and not is_busy(other.info.node_id)
        ]
        if taken < GAUGES:
            return [other.info for other in others[: GAUGES - taken]]
        faster = (o.info for o in others if is_slow(known.rated, o.rated.upload_rate))
        return list(faster)[: max(0, _MOST_GAUGES - taken)]

    def take_in(self, known: Known, gauged: Gauged, now: float) -> Iterator[Known]:
        """What came to a node from another one tells of both; those of whom it changes something.

        They are to be asked for one after the other.
        """
        other = self._nodes.get(gauged.node_id)
        if other is None or other is known or other.info.group != known.info.group:
            return
        for one, end, came in ((known, other, True), (other, known, False)):
            before = one.rated
            one.gauge(end.info.node_id, gauged.rate, now, came=came)
            if one.rated != before:
                yield one

    def seems_slow(self, known: Known) -> bool:
        """Whether a node is slower than those around it, as far as is known."""
        rates = sorted(other.rated.upload_rate for other in self._around(known))
        return bool(rates) and is_slow(known.rated, rates[len(rates) // 2])

    def _around(self, known: Known) -> Iterator[Known]:
        return (self._nodes[other] for other in self._rings.before(known.info, _AROUND))
