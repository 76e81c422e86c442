"""Pings that wait for their answers: this node's own, and those that it sends for others."""

from __future__ import annotations

from dataclasses import dataclass

from eagle_node.base.ids import NodeId
from eagle_node.runtime.sockets import Address


@dataclass(slots=True, kw_only=True)
class Probe:
    """A target that has not answered yet."""

    target: NodeId
    helpers: frozenset[NodeId] = frozenset()
    """Who was asked to ping it as well."""
    nacks: set[NodeId]
    """Which of them have said that they get no answer either."""

    @property
    def missing_nacks(self) -> int:
        """Helpers of which nothing was heard: the fault may be on this side."""
        return len(self.helpers) - len(self.nacks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """A ping on behalf of ``asker``."""

    asker: Address
    nonce: int
    """The asker's own, which its answer carries."""
    target: NodeId
