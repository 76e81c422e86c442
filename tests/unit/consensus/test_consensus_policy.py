"""Who votes and who holds what, sentence by sentence."""

from __future__ import annotations

from eagle_node.base.ids import NodeId
from eagle_node.consensus.policy import Assignment, Candidate, Wanted, plan_leases, plan_voters
from eagle_node.consensus.records import LeaseRecord, Registry, Setting
from tests.unit.consensus.builders import node

COUNTS = {"tracker": 3, "seeder": 2}


def name(number: int) -> NodeId:
    return node(number).node_id


def held(**leases: int) -> list[LeaseRecord]:
    return [
        LeaseRecord(name=lease.replace("_", "-"), holder=name(holder), epoch=1)
        for lease, holder in leases.items()
    ]


def after(records: list[LeaseRecord], changes: list[Assignment]) -> dict[str, NodeId | None]:
    holders = {record.name: record.holder for record in records}
    return holders | {change.lease: change.holder for change in changes}


def test_voters_are_one_three_or_five() -> None:
    """An even number survives no more losses than the odd one below."""
    sizes = [len(plan_voters((), [node(n) for n in range(count)])) for count in range(1, 9)]
    assert sizes == [1, 1, 3, 3, 5, 5, 5, 5]


def test_voters_are_spread_over_zones_then_hosts() -> None:
    """No zone has two voters while another has none."""
    members = [node(n, zone="abc"[n % 3], host=f"h{n % 9}") for n in range(12)]
    chosen = plan_voters((), members)
    zones = [each.zone for each in members if each.node_id in chosen]
    assert sorted(zones.count(zone) for zone in "abc") == [1, 2, 2]


def test_voters_stay() -> None:
    """Newcomers in better places change nothing; a dead one is replaced, the others stay."""
    members = [node(n, zone="a") for n in range(5)] + [node(n, zone="b") for n in range(5, 9)]
    current = {name(n) for n in range(5)}
    assert plan_voters(current, members) == current
    fewer = [each for each in members if each.node_id != name(2)]
    chosen = plan_voters(current, fewer)
    assert current - {name(2)} < chosen
    assert len(chosen) == 5


def test_who_must_not_vote_does_not() -> None:
    """``never`` lists voters as well."""
    members = [node(1), node(2), node(3, never=frozenset({"voter"}))]
    assert name(3) not in plan_voters((), members)


def test_defaults_are_three_trackers_and_two_seeders() -> None:
    """Fewer nodes: as many as there are."""
    for count, wanted in ((1, 2), (2, 4), (3, 5), (20, 5)):
        changes = plan_leases([], [node(n) for n in range(count)], COUNTS)
        assert len([each for each in changes if each.holder]) == wanted


def test_roles_are_spread_over_zones_then_hosts() -> None:
    """Three trackers of three zones are in three zones."""
    members = [node(n, zone="abc"[n // 4]) for n in range(12)]
    zones = {each.node_id: each.zone for each in members}
    changes = plan_leases([], members, {"tracker": 3})
    assert {zones[each.holder] for each in changes if each.holder} == set("abc")


def test_a_dead_holder_is_replaced_and_its_return_changes_nothing() -> None:
    """Moved at a death, not back without need."""
    records = held(tracker_0=1, tracker_1=2, tracker_2=3)
    members = [node(n) for n in (2, 3, 4)]
    counts = {"tracker": 3}
    changes = plan_leases(records, members, counts)
    assert changes == [Assignment(lease="tracker-0", holder=name(4))]
    moved = held(tracker_0=4, tracker_1=2, tracker_2=3)
    assert plan_leases(moved, [node(1), *members], counts) == []


def test_no_node_has_two_leases_of_one_role() -> None:
    """With a holder dead and nobody free, its lease is nobody's; the others stay."""
    records = held(tracker_0=1, tracker_1=2, tracker_2=3)
    changes = plan_leases(records, [node(2), node(3)], {"tracker": 3})
    assert changes == [Assignment(lease="tracker-0", holder=None)]


def test_never_is_honoured() -> None:
    """A node that must not hold a role gets none, and loses the one that it has."""
    members = [node(1, never=frozenset({"seeder"})), node(2), node(3)]
    holders = after(
        held(seeder_0=1), plan_leases(held(seeder_0=1), members, {"seeder": 2})
    ).values()
    assert set(holders) == {name(2), name(3)}


def test_pins_come_first() -> None:
    """Pinned nodes replace others, and if there are more of them, so are the leases."""
    pinned = frozenset({"seeder"})
    members = [node(1), node(2), *(node(n, pinned=pinned) for n in (3, 4, 5))]
    records = held(seeder_0=1, seeder_1=2)
    holders = after(records, plan_leases(records, members, {"seeder": 2}))
    assert set(holders.values()) == {name(3), name(4), name(5)}


def test_settings_change_the_counts() -> None:
    """Surplus leases are taken back; nonsense changes nothing; the VIP is wanted once it is set."""
    settings = (Setting(key="seeders", value="1"), Setting(key="trackers", value="many"))
    assert Wanted().under(Registry(settings=settings)) == {"tracker": 3, "seeder": 1}
    vip = (Setting(key="vip", value="192.0.2.100/24"),)
    assert Wanted().under(Registry(settings=vip))["vip"] == 1
    records = held(seeder_0=1, seeder_1=2)
    changes = plan_leases(records, [node(1), node(2)], {"seeder": 1})
    assert changes == [Assignment(lease="seeder-1", holder=None)]


def test_the_longest_here_comes_first() -> None:
    """Of equal places the oldest member gets the lease."""
    members: list[Candidate] = [node(1, age_s=1.0), node(2, age_s=50.0)]
    changes = plan_leases([], members, {"seeder": 1})
    assert changes == [Assignment(lease="seeder-0", holder=name(2))]


def test_a_stand_in_goes_on_unless_that_crowds_a_zone() -> None:
    """Another one would begin its work again."""
    stand_in = node(1, zone="a", age_s=1.0, acting=frozenset({"seeder"}))
    others = [node(2, zone="a", age_s=50.0), node(3, zone="b", acting=frozenset({"tracker"}))]
    changes = plan_leases([], [stand_in, *others], {"seeder": 1})
    assert changes == [Assignment(lease="seeder-0", holder=name(1))]
    changes = plan_leases(held(seeder_0=2), [stand_in, *others], {"seeder": 2})
    assert changes == [Assignment(lease="seeder-1", holder=name(3))]
