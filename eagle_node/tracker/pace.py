"""How fast the nodes of a wave are, as far as they have said."""

from __future__ import annotations

import bisect
from collections.abc import Collection

from eagle_node.base.ids import NodeId
from eagle_node.tracker.plan import USUAL_RATE
from eagle_node.tracker.schema import NodeInfo


class Pace:
    """Known upload rates, bytes/s."""

    def __init__(self) -> None:
        self._of: dict[NodeId, int] = {}
        self._rates: list[int] = []
        """Ascending."""

    @property
    def usual(self) -> int:
        """The median of the known rates."""
        return self._rates[len(self._rates) // 2] if self._rates else USUAL_RATE

    def note(self, node: NodeInfo) -> None:
        """Take in what ``node`` says of itself."""
        if node.upload_rate:
            self._of[node.node_id] = node.upload_rate
            bisect.insort(self._rates, node.upload_rate)

    def forget(self, node_id: NodeId) -> None:
        """Count a node no more."""
        rate = self._of.pop(node_id, None)
        if rate is not None:
            del self._rates[bisect.bisect_left(self._rates, rate)]

    def check(self, nodes: Collection[NodeId]) -> None:
        """Assert that the rates are those of ``nodes``."""
        assert self._rates == sorted(self._of.values())
        assert all(node_id in nodes for node_id in self._of)
