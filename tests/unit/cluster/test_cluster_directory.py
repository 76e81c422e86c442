"""Who is asked for what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from eagle_node.base.ids import NodeId
from eagle_node.cluster.directory import NOBODY, Directory, directory_of, stand_ins
from eagle_node.config.tree import Role
from eagle_node.consensus.records import LeaseRecord
from eagle_node.membership.member import Member
from eagle_node.membership.meta import Meta
from eagle_node.runtime.sockets import Address

A, B, C, D = (NodeId(letter * 32) for letter in "abcd")
PORTS = (("metainfo", 55008), ("tracker", 6969))


def member(node_id: NodeId, **meta: object) -> Member:
    """A member that can have every role, at 10.0.0.a and so on."""
    described = Meta(**{"ports": PORTS, **meta})  # type: ignore[arg-type]
    return Member(node_id=node_id, address=Address(f"10.0.0.{node_id[0]}", 7946), meta=described)


def members(*some: Member) -> Mapping[NodeId, Member]:
    """By id."""
    return {each.node_id: each for each in some}


ALL = members(member(A), member(B), member(C), member(D))


def leases(**holders: NodeId) -> list[LeaseRecord]:
    """``tracker_0`` is the lease ``tracker-0``."""
    return [
        LeaseRecord(name=name.replace("_", "-"), holder=holder, epoch=1)
        for name, holder in holders.items()
    ]


def directory(
    some: Mapping[NodeId, Member], held: Iterable[LeaseRecord] = (), *, claims: bool = False
) -> Directory:
    """As node A sees it."""
    return directory_of(some, held, cluster="red", claims=claims, own=A)


def test_leases_say_who_is_asked() -> None:
    """Holders are reached at the host of their gossip and the port that they tell."""
    found = directory(ALL, leases(tracker_0=B, tracker_1=C, seeder_0=D))
    assert found.holders == {Role.TRACKER: {B, C}, Role.SEEDER: {D}}
    assert found.addresses[Role.SEEDER] == {Address("10.0.0.d", 55008)}
    assert found.addresses[Role.TRACKER] == {Address("10.0.0.b", 6969), Address("10.0.0.c", 6969)}
    assert found.roles_of(B) == {Role.TRACKER}
    assert found.roles_of(A) == frozenset()


def test_who_is_no_member_is_not_asked() -> None:
    """A holder that died counts no more, before its lease has run out."""
    alive = members(member(A), member(B))
    found = directory(alive, leases(tracker_0=B, tracker_1=C, seeder_0=B))
    assert found.holders[Role.TRACKER] == {B}


def test_pinned_roles_need_no_lease() -> None:
    """Who was told by flags to be a seeder is one, beside the elected."""
    found = directory({**ALL, **members(member(C, pinned=("seeder",)))}, leases(seeder_0=B))
    assert found.holders[Role.SEEDER] == {B, C}


def test_without_any_holder_all_name_the_same_stand_ins() -> None:
    """A role is never without a node while there is one that can have it."""
    found = directory({**ALL, **members(member(A, never=("seeder",)))})
    assert found.holders[Role.TRACKER] == stand_ins("red", [A, B, C, D], 3)
    assert found.holders[Role.SEEDER] == stand_ins("red", [B, C, D], 2)


@pytest.mark.parametrize("without", [{"never": ("tracker",)}, {"ports": (("metainfo", 55008),)}])
def test_who_cannot_have_a_role_is_never_asked(without: dict[str, object]) -> None:
    """Flags exclude it, or the service is not there: not by a lease, not as a stand-in."""
    found = directory(members(member(A, **without)), leases(tracker_0=A))
    assert found.holders == {Role.TRACKER: frozenset(), Role.SEEDER: {A}}


def test_a_newcomer_believes_what_others_say() -> None:
    """Until it knows the leases it asks those who hold the roles, not itself."""
    some = members(member(A, roles=("seeder",)), member(B, roles=("seeder", "tracker")), member(C))
    found = directory(some, claims=True)
    assert found.holders == {Role.TRACKER: {B}, Role.SEEDER: {B}}
    assert directory(some).holders[Role.SEEDER] == stand_ins("red", [A, B, C], 2)


def test_a_newcomer_that_is_alone_asks_itself() -> None:
    """There is nobody else."""
    found = directory(members(member(A)), claims=True)
    assert found.holders == {Role.TRACKER: {A}, Role.SEEDER: {A}}


def test_the_virtual_address_leads_to_a_tracker() -> None:
    """Its holder is told what nodes have, without counting as an elected tracker."""
    found = directory(ALL, leases(tracker_0=B, vip=D))
    assert found.holders[Role.TRACKER] == {B}
    assert found.addresses[Role.TRACKER] == {Address("10.0.0.b", 6969), Address("10.0.0.d", 6969)}


def test_nobody_is_known_at_first() -> None:
    """The empty directory has every role."""
    assert NOBODY.addresses == {Role.TRACKER: frozenset(), Role.SEEDER: frozenset()}


def test_stand_ins_are_odd_to_each_cluster() -> None:
    """The same for all who see the same members; another cluster name, another order."""
    nodes = [NodeId(f"{number:032x}") for number in range(20)]
    assert stand_ins("red", nodes, 3) == stand_ins("red", reversed(nodes), 3)
    assert len(stand_ins("red", nodes, 3)) == 3
    assert stand_ins("red", nodes, 3) < stand_ins("red", nodes, 4)
    assert stand_ins("red", nodes, 3) != stand_ins("blue", nodes, 3)
