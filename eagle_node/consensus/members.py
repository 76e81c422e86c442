"""Who is in the gossip, as consensus needs it. Sans-IO."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from eagle_node.base.ids import NodeId
from eagle_node.consensus.policy import Candidate
from eagle_node.consensus.records import Configuration, MemberId, node_of
from eagle_node.runtime.sockets import Address


class Members:
    """The members that the gossip last told of, ``me`` among them or not (yet)."""

    def __init__(self, me: NodeId) -> None:
        self.by_node: Mapping[NodeId, Candidate] = {}
        self._me = me

    def __len__(self) -> int:
        return len(self.by_node)

    def replace(self, members: Iterable[Candidate]) -> None:
        """The gossip has changed."""
        self.by_node = {each.node_id: each for each in members}

    def others(self) -> list[Candidate]:
        """Those that are alive, without this node."""
        return [each for node, each in self.by_node.items() if each.alive and node != self._me]

    def address_of(self, target: MemberId, configuration: Configuration) -> Address | None:
        """Where a log's node listens; the gossip's word counts more than the configuration's."""
        candidate = self.by_node.get(node_of(target))
        if candidate is not None:
            return candidate.address
        for voter in configuration.everyone:
            if voter.member == target:
                return voter.address
        return None
