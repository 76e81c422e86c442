"""A node's part in a wave."""

from __future__ import annotations

from dataclasses import dataclass, field

from eagle_node.base.ids import NodeId
from eagle_node.tracker.health import Known
from eagle_node.tracker.schema import NodeInfo


@dataclass(slots=True)
class Source:
    """A node that has the blob, a part of it, or is getting it."""

    known: Known
    complete: bool = False
    have: bytes = b""
    """Verified segments, unless complete."""
    joined: bool = False
    """Has downloaded the blob from others; a seeder that has not, gets it from the origin."""
    order: int | None = None
    """Its number in the order of joining while it downloads."""
    parent: NodeId | None = None
    """Whom it takes the blob from; set only while it downloads, and always a source."""
    depth: int = 0
    """Hops from a complete copy when it took its parent: an estimate once others moved."""
    progressed: float = 0.0
    """When it last had more than before."""
    children: dict[NodeId, None] = field(default_factory=dict)
    """The sources whose parent it is."""

    @property
    def info(self) -> NodeInfo:
        """The node."""
        return self.known.info

    @property
    def seeder(self) -> bool:
        """Gets the blob from its origin, for all."""
        return self.info.seeder and not self.joined

    @property
    def whole(self) -> bool:
        """Has, or gets from the origin, all that anybody can ask for."""
        return self.complete or self.seeder

    def may_feed(self, child: Source) -> bool:
        """Whether ``child`` can hang on this one without ever waiting for itself."""
        if self.whole or self.order is None or child.order is None:
            return self is not child
        return self.order < child.order
