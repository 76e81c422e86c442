"""When a cluster begins, and when a node's log has had its day: functions without state."""

from __future__ import annotations

from collections.abc import Collection, Set

from eagle_node.base.ids import NodeId
from eagle_node.consensus.log import Log
from eagle_node.consensus.messages import View
from eagle_node.consensus.records import Configuration, MemberId

_PATIENCE = 3
"""Times the first node's patience: how long others wait for it to start the cluster."""


def why_start(
    me: NodeId,
    others: Collection[NodeId],
    clusterless: Set[NodeId],
    *,
    waited_s: float,
    bootstrap_s: float,
) -> str | None:
    """Why to start a cluster now; None: not (yet).

    Of several new nodes the lowest starts it, as soon as all ``others`` have said that they are in
    none (``clusterless``); the rest wait longer, in case it cannot.
    """
    first = all(node in clusterless and node > me for node in others)
    if waited_s < (bootstrap_s if first else _PATIENCE * bootstrap_s):
        return None
    return "no other node has one" if others else "no other node answered"


def is_removed(me: MemberId, log: Log, view: View) -> bool:
    """Whether the cluster has taken a log out of its configuration.

    Such a log is of no use, and its name must not vote again. A view that is older than the log's
    own configuration says nothing about it.
    """
    return (
        has_part(me, log.configuration)
        and view.version > log.configured_at
        and not has_part(me, Configuration(voters=view.voters, learners=view.learners))
    )


def has_part(me: MemberId, configuration: Configuration) -> bool:
    """Whether a log votes in a configuration, or learns."""
    return any(each.member == me for each in configuration.everyone)
