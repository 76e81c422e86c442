"""What a member says of itself to people: log lines and metrics."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import assert_never

from eagle_node.base.errors import Unavailable
from eagle_node.base.ids import NodeId
from eagle_node.membership.events import Alone, Change, DuplicateId, Found, Gone, Joined, Updated
from eagle_node.membership.member import Member, State
from eagle_node.membership.seal import Reason
from eagle_node.metrics.instruments import Metrics
from eagle_node.runtime.sockets import Address

log = logging.getLogger(__name__)

_HINTS = {
    Reason.GARBAGE: "something else sends to this port",
    Reason.VERSION: "a node of another release, with another gossip protocol, or no node at all",
    Reason.CLUSTER: "a node of a cluster with another name; see --cluster",
    Reason.KEY: "a node with another cluster key; give all nodes the same --cluster-key-file",
    Reason.CLEAR: "a node without a cluster key; give it this cluster's --cluster-key-file",
    Reason.SEALED: "a node with a cluster key; give this one the same --cluster-key-file",
    Reason.FORGED: "a datagram that was altered, or is sent by who does not have the key",
    Reason.MALFORMED: "a message of this cluster that breaks its grammar",
}


class Account:
    """Logs each change once, each kind of stranger once, and counts."""

    def __init__(self, metrics: Metrics, cluster: str) -> None:
        self._metrics = metrics
        self._cluster = cluster
        self._told: set[Reason] = set()
        self._last_failure = ""
        self._alone = False

    def moved(self, transport: str, direction: str, count: int) -> None:
        """Bytes were sent or received."""
        self._metrics.gossip_bytes.labels(transport, direction).inc(count)

    def health(self, score: int) -> None:
        """The local health multiplier is this now."""
        self._metrics.gossip_health.set(score)

    def ignored(self, reason: Reason, source: Address) -> None:
        """Something came that is not of this cluster."""
        self._metrics.gossip_ignored.labels(reason).inc()
        self._last_failure = f"{source}: {_HINTS[reason]}"
        if reason not in self._told:
            self._told.add(reason)
            log.warning("ignoring gossip from %s: %s", source, _HINTS[reason])

    def unreachable(self, error: Unavailable) -> None:
        """Nobody answered there."""
        self._last_failure = str(error)
        log.debug("%s", error)

    def changed(self, change: Change, members: Mapping[NodeId, Member]) -> None:
        """The view of the cluster has changed."""
        match change:
            case Joined(member):
                log.info("node %s at %s is a member", member.node_id, member.address)
            case Updated(member, before):
                if member.state is not before.state:
                    state = member.state.name.lower()
                    log.debug("node %s at %s is %s", member.node_id, member.address, state)
            case Gone(member):
                self._gone(member)
            case DuplicateId(node_id, ours, theirs):
                log.error(
                    "node id %s is used here at %s and also at %s: was the data directory copied? "
                    "Stop one of them and remove node-id from its data directory",
                    node_id,
                    ours,
                    theirs,
                )
            case Alone(addresses):
                self._alone = True
                names = ", ".join(sorted(map(str, addresses))) or "none but this node's own"
                log.warning(
                    "no member of cluster %r found yet at %s (%s); still trying",
                    self._cluster,
                    names,
                    self._last_failure,
                )
            case Found(member):
                if self._alone:
                    log.info("found cluster %r: node at %s", self._cluster, member.address)
                self._alone = False
            case _:
                assert_never(change)
        self._count(members)

    def _gone(self, member: Member) -> None:
        if member.state is State.LEFT:
            log.info("node %s at %s has left", member.node_id, member.address)
        else:
            self._metrics.member_deaths.inc()
            log.warning("node %s at %s is dead", member.node_id, member.address)

    def _count(self, members: Mapping[NodeId, Member]) -> None:
        suspects = sum(member.state is State.SUSPECT for member in members.values())
        self._metrics.members.labels("suspect").set(suspects)
        self._metrics.members.labels("alive").set(len(members) - suspects)
