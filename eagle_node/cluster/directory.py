"""Who is asked for what: pure functions of the members and the leases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from eagle_node.base.ids import NodeId
from eagle_node.base.rendezvous import ranked
from eagle_node.config.tree import ELECTABLE, Role
from eagle_node.consensus.policy import VIP, role_of
from eagle_node.consensus.records import LeaseRecord
from eagle_node.membership.member import Member
from eagle_node.runtime.sockets import Address

STAND_INS: Mapping[Role, int] = {Role.TRACKER: 3, Role.SEEDER: 2}
"""Nodes that take on a role while nobody else has it."""
PORTS: Mapping[Role, str] = {Role.TRACKER: "tracker", Role.SEEDER: "metainfo"}
"""Listener of each elected role, as members tell its port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """The holders of the elected roles."""

    holders: Mapping[Role, frozenset[NodeId]]
    addresses: Mapping[Role, frozenset[Address]]
    """Where they are reached; of trackers, the holder of the virtual address is one more."""

    def roles_of(self, node_id: NodeId) -> frozenset[Role]:
        """Elected roles of a node."""
        return frozenset(role for role, nodes in self.holders.items() if node_id in nodes)


NOBODY = Directory(
    holders=dict.fromkeys(ELECTABLE, frozenset()), addresses=dict.fromkeys(ELECTABLE, frozenset())
)


def directory_of(
    members: Mapping[NodeId, Member],
    leases: Iterable[LeaseRecord],
    *,
    cluster: str,
    claims: bool,
    own: NodeId,
) -> Directory:
    """Holders of leases that are members, and members that were told by flags to have the role.

    A role that has neither falls to those who say that they have it, if ``claims`` count, the word
    of ``own`` excepted; else to `stand_ins`.
    """
    held = [
        (role_of(lease.name), lease.holder)
        for lease in leases
        if lease.holder is not None and lease.holder in members
    ]
    holders: dict[Role, frozenset[NodeId]] = {}
    addresses: dict[Role, frozenset[Address]] = {}
    for role, most in STAND_INS.items():
        able = {node for node, each in members.items() if can_have(each, role)}
        named = {node for name, node in held if name == role}
        named |= {node for node, each in members.items() if role in each.meta.pinned}
        if claims and not named & able:
            named = {n for n in able if n != own and role in members[n].meta.roles}
        nodes = frozenset(named & able) or stand_ins(cluster, able, most)
        holders[role] = nodes
        asked = set(holders[role])
        if role is Role.TRACKER:
            asked |= {node for name, node in held if name == VIP} & able
        addresses[role] = frozenset(_address(members[node], role) for node in asked)
    return Directory(holders=holders, addresses=addresses)


def stand_ins(cluster: str, able: Iterable[NodeId], most: int) -> frozenset[NodeId]:
    """Of those who are able at most so many: the same for all who see the same members."""
    return frozenset(NodeId(node) for node in ranked(cluster, able)[:most])


def can_have(member: Member, role: Role) -> bool:
    """Whether a member has the role's service running."""
    return bool(member.meta.port(PORTS[role])) and role not in member.meta.never


def _address(member: Member, role: Role) -> Address:
    return Address(member.address.host, member.meta.port(PORTS[role]))
