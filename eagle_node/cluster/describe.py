"""What a node says of itself in the gossip, and what the leader makes of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from eagle_node import __version__
from eagle_node.base.ids import NodeId
from eagle_node.cluster.directory import can_have
from eagle_node.config.tree import ELECTABLE, Config, Role
from eagle_node.consensus.policy import VIP, Candidate
from eagle_node.membership.member import Member
from eagle_node.membership.meta import Meta
from eagle_node.runtime.sockets import Address

VIP_LABEL = "vip"
_TOLD_PORTS = ("swarm", "metainfo", "tracker", "api", "raft")


def describe(
    config: Config, ports: Mapping[str, int], *, roles: Collection[Role], voter: bool
) -> Meta:
    """This node, holding ``roles`` now; `UsageError` when that is too long to be told."""
    node, vip = config.node, config.vip.address
    runs = node.roles | config.cluster.elected
    never = {*config.cluster.never, *(ELECTABLE - runs)}
    if vip is None:
        never.add(VIP)
    return Meta(
        roles=tuple(sorted(node.roles | frozenset(roles))),
        never=tuple(never),
        pinned=tuple(node.roles & ELECTABLE),
        ports=tuple((name, ports[name]) for name in _TOLD_PORTS if ports.get(name)),
        zone=node.zone,
        rack=node.rack,
        group=node.group,
        version=__version__,
        voter=voter,
        upload_rate=config.limits.upload,
        labels=() if vip is None else ((VIP_LABEL, str(vip.ip)),),
        name=node.name,
    )


def candidate_of(member: Member, *, age_s: float) -> Candidate | None:
    """A member as somebody to give leases to; None for one that takes no part in them."""
    meta = member.meta
    if not (port := meta.port("raft")):
        return None
    may = {str(role) for role in ELECTABLE if can_have(member, role)}
    return Candidate(
        node_id=member.node_id,
        address=Address(member.address.host, port),
        zone=meta.zone,
        rack=meta.rack,
        host=meta.host or member.address.host,
        may=frozenset(may | {VIP}),
        never=frozenset(meta.never),
        pinned=frozenset(meta.pinned),
        acting=frozenset(meta.roles),
        version=meta.version,
        age_s=age_s,
    )


def seen_vips(members: Mapping[NodeId, Member]) -> dict[str, list[NodeId]]:
    """Virtual addresses that members were told to carry, and who each."""
    found: dict[str, list[NodeId]] = {}
    for node_id, member in members.items():
        if ip := member.meta.label(VIP_LABEL):
            found.setdefault(ip, []).append(node_id)
    return found
