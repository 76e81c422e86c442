"""A node's part in a wave."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from eagle_node.base.ids import NodeId
from eagle_node.tracker.cell import Cell
from eagle_node.tracker.gain import Gains
from eagle_node.tracker.health import Known
from eagle_node.tracker.schema import NodeInfo


@dataclass(slots=True)
class Source:
    """A node that has the blob, a part of it, or is getting it."""

    known: Known
    complete: bool = False
    have: bytes = b""
    """Verified segments, unless complete."""
    done: int = 0
    """How many segments it has had of late, as far as it has said."""
    joined: bool = False
    """Has downloaded the blob from others; a seeder that has not, gets it from the origin."""
    fetching: bool = False
    """Has said that it gets the blob from the origin."""
    port: int = 0
    """Where it offers the blob; 0: at its swarm listener."""
    downloading: bool = False
    cell: Cell | None = None
    """Whose forest it stands in: set while it downloads, and as long as others of the cell do."""
    parents: tuple[NodeId | None, ...] = ()
    """Whom it takes each stripe from; empty unless it downloads."""
    children: dict[NodeId, int] = field(default_factory=dict)
    """Downloaders that take a stripe from it, and how many stripes each."""
    failed: frozenset[NodeId] = frozenset()
    """Peers that gave it no progress."""
    progressed: float = 0.0
    """When it last had more than before."""
    gains: Gains | None = None
    """What it has had, while it gets the blob from others or from the origin."""
    apart: float = 0.0
    """Bytes/s, if it holds up others: it waits behind them until it has shown so much."""
    held_up: set[NodeId] = field(default_factory=set)
    """Those who were set apart since they got much less from it than it had."""

    @property
    def info(self) -> NodeInfo:
        """The node."""
        return self.known.info

    @property
    def listener(self) -> NodeInfo:
        """The node, with the port at which it offers this blob."""
        return replace(self.info, port=self.port) if self.port else self.info

    @property
    def node_id(self) -> NodeId:
        """Of the node."""
        return self.known.info.node_id

    @property
    def seeder(self) -> bool:
        """Gets the blob from its origin, for all."""
        return self.fetching or (self.info.seeder and not self.joined)

    @property
    def whole(self) -> bool:
        """Has, or gets from the origin, all that anybody can ask for."""
        return self.complete or self.seeder

    @property
    def load(self) -> int:
        """Stripes that it feeds."""
        return sum(self.children.values())
