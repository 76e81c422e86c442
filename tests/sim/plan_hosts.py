"""What a simulated wave is made of, and what comes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from eagle_node.base.ids import NodeId
from eagle_node.tracker.plan import HOP_S, LEVEL_S
from eagle_node.tracker.schema import NodeInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What all nodes have in common."""

    size: int
    rate: float
    """Bytes/s of every link, each way."""
    border_rate: float = math.inf
    """Bytes/s into, and out of, each zone."""
    hop_s: float = HOP_S
    """What a node adds that feeds one other."""
    level_s: float = LEVEL_S
    """What a node adds that feeds several."""
    hint_s: float = 0.15
    probe_s: float = 0.3
    stall_s: float = 3.0
    gauged: bool = False
    """Links have been measured before the wave."""
    gauge_least: float = 0.7
    """What a measurement finds of a rate at the least."""
    seed: int = 1

    @property
    def direct_s(self) -> float:
        """Seconds that one download straight from the origin takes."""
        return self.size / self.rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A node of the simulation."""

    info: NodeInfo
    joins: float = 0.0
    dies: float = math.inf
    silent: bool = False
    """Its death resets no connection: the host is gone, not the process."""
    rate: float = 0.0
    """Bytes/s of its link, each way; 0: as all others. What it says is in ``info``."""
    warm: bool = False
    """Has the blob from the start."""


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What happened."""

    finished: dict[NodeId, float] = field(default_factory=dict)
    seeder_copies: float = 0.0
    """Blobs that the seeder sent."""
    zone_copies: dict[str, float] = field(default_factory=dict)
    """Blobs that entered each zone from another one."""
    depth: int = 0
    """Hops to the farthest node, when the last one had joined."""
    plans: int = 0
    hints: int = 0
    starved: int = 0
    """How often a parent had nothing new for so long that a peer took another."""

    @property
    def last_s(self) -> float:
        """When the last node had the blob."""
        return max(self.finished.values())


def node(number: int, *, zone: str = "", seeder: bool = False, upload_rate: int = 0) -> NodeInfo:
    """The ``number``-th node."""
    return NodeInfo(
        node_id=NodeId(f"{number:032x}"),
        host=f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
        port=61007,
        zone=zone,
        seeder=seeder,
        upload_rate=upload_rate,
    )
