"""What downloads work with, and what the runs of one have in common."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from eagle_node.config.tree import SwarmConfig
from eagle_node.metainfo.client import MetaInfoClient
from eagle_node.metrics.instruments import Metrics
from eagle_node.peer.announce import AnnounceEndpoint
from eagle_node.peer.discretion import Discretion
from eagle_node.peer.holders import Acquaintance
from eagle_node.peer.parents import Parents
from eagle_node.peer.parts import PartSource
from eagle_node.peer.succession import Line
from eagle_node.registry.names import BlobRef
from eagle_node.runtime.budget import ByteBudget
from eagle_node.runtime.clock import Clock
from eagle_node.runtime.sockets import Address
from eagle_node.swarm.blocks import BlockClient
from eagle_node.swarm.session import Swarm
from eagle_node.swarm.torrents import SegmentTorrent
from eagle_node.swarm.window import ReceiveWindow
from eagle_node.tracker.client import TrackerClient
from eagle_node.tracker.schema import NodeInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """Shared by all of a node's downloads."""

    node: Callable[[], NodeInfo]
    """This node, as it is now."""
    swarm: Swarm
    metainfo: MetaInfoClient
    tracker: TrackerClient
    trackers: Callable[[], Sequence[str]]
    """Announce URLs of the cluster's trackers, further tiers."""
    announces: AnnounceEndpoint
    blocks: BlockClient
    acquaintance: Acquaintance
    config: SwarmConfig
    metrics: Metrics
    discretion: Discretion
    download: ByteBudget
    """What comes past the swarm is drawn from it."""
    window: ReceiveWindow
    clock: Clock
    report: Callable[[], Coroutine[Any, Any, None]]
    """Has the trackers know what has just changed here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One blob to bring: what it takes, and what is kept from one wave of demand to the next."""

    means: Means
    blob: BlobRef
    line: Line
    """The seeders that are asked."""
    shown: Callable[[Address], str]
    """The ``Authorization`` for a seeder; empty: none."""
    parts: PartSource
    parents: Parents = field(default_factory=Parents)
    torrents: dict[int, SegmentTorrent] = field(default_factory=dict)
    """Of the segments that a seeder has told of."""
