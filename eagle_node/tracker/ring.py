"""The live nodes of each zone in a circle by their ids: links are measured along it.

Ids are random, so that hosts of one kind, which often start one after the other, do not only meet
their like. Each node measures what the two before it send, and so has four others around it: hardly
anybody who is fast meets slow ones only. Who seems slow is measured against faster ones as well.
"""

from __future__ import annotations

import bisect

from eagle_node.base.ids import NodeId
from eagle_node.tracker.schema import NodeInfo


class Rings:
    """The circles of all groups and zones."""

    def __init__(self) -> None:
        self._members: dict[tuple[str, str], list[NodeId]] = {}
        """Ascending."""

    def add(self, node: NodeInfo) -> None:
        """``node`` lives."""
        members = self._members.setdefault((node.group, node.zone), [])
        at = bisect.bisect_left(members, node.node_id)
        if members[at : at + 1] != [node.node_id]:
            members.insert(at, node.node_id)

    def discard(self, node: NodeInfo) -> None:
        """``node`` is gone, or elsewhere."""
        members = self._members.get((node.group, node.zone), [])
        at = bisect.bisect_left(members, node.node_id)
        if members[at : at + 1] == [node.node_id]:
            del members[at]
        if not members:
            self._members.pop((node.group, node.zone), None)

    def before(self, node: NodeInfo, most: int) -> list[NodeId]:
        """At most so many before ``node`` in its circle, the next first; none if it is alone."""
        members = self._members.get((node.group, node.zone), [])
        at = bisect.bisect_left(members, node.node_id)
        return [members[at - step] for step in range(1, min(most, len(members) - 1) + 1)]
