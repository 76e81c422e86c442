"""From whom each downloader of one blob takes it: cells, their line, and failures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise

import pytest

from eagle_node.tracker.plan import USUAL_RATE, fan_of, open_for_s
from eagle_node.tracker.schema import Advert, NodeInfo
from tests.unit.tracker.builders import BLOB, SIZE, Cluster, node, node_id

FAST, LATE = 20_000_000, open_for_s(SIZE, USUAL_RATE) + 0.01
"""Bytes/s of a usual node; seconds after which a cell takes nobody any more."""
ORIGIN = node(1, zone="a", seeder=True)


def cold(*infos: NodeInfo) -> Cluster:
    """A blob that only its seeder gets, and nodes that ask for it at one time."""
    cluster = Cluster()
    cluster.holds(ORIGIN, have=b"")
    for info in infos:
        cluster.joins(info)
    return cluster


def many(numbers: Iterable[int], zone: str = "a", upload_rate: int = 0) -> list[NodeInfo]:
    """Nodes of one zone."""
    return [node(number, zone=zone, upload_rate=upload_rate) for number in numbers]


def feeders(cluster: Cluster, infos: Iterable[NodeInfo]) -> set[int | None]:
    """All who feed one of ``infos``."""
    return {parent for info in infos for parent in cluster.parents(info)}


def numbers(infos: Iterable[NodeInfo]) -> set[int]:
    """What the nodes are called."""
    return {int(info.node_id, 16) for info in infos}


def loads(cluster: Cluster, infos: Iterable[NodeInfo]) -> dict[int | None, Fraction]:
    """Copies of the blob that each node sends to ``infos``; 0 for all others."""
    sent: dict[int | None, Fraction] = defaultdict(Fraction)
    for info in infos:
        for parent in (parents := cluster.parents(info)):
            sent[parent] += Fraction(1, len(parents))
    return sent


def crossings(cluster: Cluster, infos: Sequence[NodeInfo]) -> dict[str, Fraction]:
    """Copies of the blob that come into each zone from another one."""
    zones = {int(info.node_id, 16): info.zone for info in [ORIGIN, *infos]}
    crossed: dict[str, Fraction] = defaultdict(Fraction)
    for info in infos:
        for parent in (parents := cluster.parents(info)):
            if parent is None or zones[parent] != info.zone:
                crossed[info.zone] += Fraction(1, len(parents))
    return crossed


def test_the_first_hangs_on_the_seeder() -> None:
    """Nobody else has anything yet."""
    assert cold().joins(node(2, zone="a")) == [[1]]


@pytest.mark.parametrize("size", [1, 2, 3, 10, 100])
def test_the_seeders_uplink_carries_one_copy(size: int) -> None:
    """Nodes that ask at one time form one cell, which takes each byte from the seeder once."""
    infos = many(range(2, 2 + size))
    fed = loads(cold(*infos), infos)
    assert fed[1] == 1
    assert max(fed.values()) == 1


def test_the_fallbacks_of_a_plan_end_at_the_seeder() -> None:
    """Each stripe's peers are the line of feeders from the parent up."""
    infos = many(range(2, 40))
    cluster = cold(*infos)
    for info in infos:
        for stripe, (parent, peers) in enumerate(
            zip(cluster.parents(info), cluster.joins(info), strict=True)
        ):
            assert peers[0] == parent
            assert peers[-1] == 1
            for below, above in pairwise(peers[:4]):
                assert cluster.parents(node(below, zone="a"))[stripe] == above


def test_a_cell_that_grows_changes_its_shape() -> None:
    """Few nodes are a chain; where many join, all are fed in stripes, and told so."""
    infos = many(range(2, 102))
    cluster = cold(*infos[:5])
    assert [cluster.parents(info) for info in infos[:5]] == [[1], [2], [3], [4], [5]]
    for info in infos[5:]:
        cluster.joins(info)
    assert {len(cluster.parents(info)) for info in infos} == {2}
    changed = {member for _, member in cluster.machine.take_changed()}
    assert changed == {info.node_id for info in infos}


def test_asking_again_changes_nothing() -> None:
    """A node that downloads keeps its place however often it asks."""
    infos = many(range(2, 30))
    cluster = cold(*infos)
    before = {info.node_id: cluster.parents(info) for info in infos}
    for info in infos:
        cluster.joins(info)
    assert {info.node_id: cluster.parents(info) for info in infos} == before


def test_late_nodes_form_the_next_cell() -> None:
    """Who comes after a cell has closed is fed by it, and feeds nobody in it."""
    early, late = many(range(2, 10)), many(range(20, 28))
    cluster = cold(*early)
    before = [cluster.parents(info) for info in early]
    cluster.now = LATE
    for info in late:
        cluster.joins(info)
    assert [cluster.parents(info) for info in early] == before
    outside = loads(cluster, late)
    assert sum(outside[number] for number in numbers(early)) == 1
    assert outside[1] == 0
    assert max(loads(cluster, early + late).values()) == 1


def test_generations_form_a_line() -> None:
    """Each generation is fed by the one before it; the seeder sends one copy to all of them."""
    cluster, before = cold(), [ORIGIN]
    everybody: list[NodeInfo] = []
    for generation in range(6):
        cluster.now = generation * LATE
        infos = many(range(100 * generation + 2, 100 * generation + 9))
        for info in infos:
            cluster.joins(info)
        outside = feeders(cluster, infos) - numbers(infos)
        assert outside <= numbers(before)
        before = infos
        everybody += infos
    assert max(loads(cluster, everybody).values()) == 1


def test_a_cell_of_which_one_is_done_takes_nobody() -> None:
    """Who asks when others have the blob already does not make them wait for it."""
    infos = many(range(2, 6))
    cluster = cold(*infos)
    cluster.holds(infos[0])
    before = [cluster.parents(info) for info in infos]
    cluster.joins(node(9, zone="a"))
    assert [cluster.parents(info)[0] for info in infos[1:]] == [
        stripes[0] for stripes in before[1:]
    ]
    assert 9 not in feeders(cluster, infos)


@pytest.mark.parametrize("order", ["aabbcc", "abcabcabc", "cbabcacbb", "ccccba", "bcbcbcaa"])
def test_each_zones_border_is_crossed_once(order: str) -> None:
    """However zones interleave, each but the seeder's takes each byte from another one once."""
    infos = [node(number, zone=zone) for number, zone in enumerate(order, start=2)]
    cluster = cold(*infos)
    assert crossings(cluster, infos) == {"b": 1, "c": 1}
    assert max(loads(cluster, infos).values()) == 1


@pytest.mark.parametrize("order", ["ab", "ba", "cba", "bca"])
def test_the_seeders_zone_comes_first_in_the_line(order: str) -> None:
    """The seeder feeds its own zone, whoever has asked first."""
    infos = [node(number, zone=zone) for number, zone in enumerate(order, start=2)]
    cluster = cold(*infos)
    fed_by_seeder = {info.zone for info in infos if 1 in cluster.parents(info)}
    assert fed_by_seeder == {"a"}


def test_a_zone_without_the_seeder_is_fed_meanwhile() -> None:
    """While nobody of the seeder's zone asks, the seeder feeds the first of another."""
    infos = many(range(2, 8), zone="b")
    assert loads(cold(*infos), infos)[1] == 1


def test_late_nodes_of_a_zone_hang_on_their_zone() -> None:
    """The second generation crosses no border that the first one has crossed."""
    infos = many(range(2, 5)) + many(range(10, 13), zone="b")
    cluster = cold(*infos)
    cluster.now = LATE
    late = many(range(20, 23), zone="b") + many(range(30, 33))
    for info in late:
        cluster.joins(info)
    assert crossings(cluster, infos + late) == {"b": 1}


def test_slow_nodes_are_apart() -> None:
    """Nobody but their like takes anything from slow nodes; one usual one feeds some of them."""
    infos = [
        node(number, zone="a", upload_rate=FAST if number % 3 else 1_000_000)
        for number in range(2, 40)
    ]
    slow = [info for info in infos if info.upload_rate < FAST]
    usual = [info for info in infos if info.upload_rate == FAST]
    cluster = cold(*infos)
    assert not feeders(cluster, usual) & numbers(slow)
    outside = loads(cluster, slow)
    assert sorted(outside[number] for number in numbers(usual))[-2:] == [0, fan_of(1_000_000, FAST)]


def test_who_turns_out_slow_is_moved() -> None:
    """A node that says in the middle of a download that it is slow feeds usual ones no more."""
    infos = many(range(2, 12), upload_rate=FAST)
    cluster = cold(*infos)
    assert feeders(cluster, infos) & {2}
    slow = node(2, zone="a", upload_rate=1_000_000)
    cluster.advertise(Advert(node=slow))
    assert not feeders(cluster, infos[1:]) & {2}
    assert set(cluster.parents(slow)) <= numbers(infos[1:])


def test_one_complaint_puts_a_node_behind_its_cell() -> None:
    """Who complained comes to its place; nobody feeds two because of it."""
    infos = many(range(2, 12))
    cluster = cold(*infos)
    complainant = next(info for info in infos if cluster.parents(info) == [2])
    peers = cluster.joins(complainant, 2)
    assert not any(2 in stripe for stripe in peers)
    assert cluster.parents(complainant) == [1]
    assert not feeders(cluster, infos) & {2}
    assert cluster.parents(infos[0]) != [1]


def test_two_complaints_demote() -> None:
    """Whom two others call stuck stands behind all of them, and feeds none."""
    infos = many(range(2, 12))
    cluster = cold(*infos)
    for complainant in (6, 7):
        cluster.joins(node(complainant, zone="a"), 2)
    assert not feeders(cluster, infos) & {2}
    assert set(cluster.parents(infos[0])) <= numbers(infos[1:])
    assert not any(2 in stripe for stripe in cluster.joins(infos[5]))


def test_a_complainant_who_repeats_itself_demotes_nobody() -> None:
    """Two complaints of one node are one: the accused may feed those who come after it."""
    infos = many(range(2, 12))
    cluster = cold(*infos)
    for _ in range(3):
        cluster.joins(node(6, zone="a"), 2)
    cluster.joins(node(12, zone="a"))
    assert cluster.parents(node(12, zone="a")) == [2]


def test_an_idle_holder_beats_a_cell() -> None:
    """Who can have a holder for itself does not join those who wait for each other."""
    cluster = Cluster()
    for holder in many((50, 51)):
        cluster.holds(holder)
    first, second, third = many(range(2, 5))
    cluster.joins(first)
    cluster.joins(second)
    hosts = [set(cluster.parents(info)) for info in (first, second)]
    assert sorted(hosts, key=str) == [{50}, {51}]
    cluster.joins(third)
    assert set(cluster.parents(third)) <= {2, 3}
    assert max(loads(cluster, (first, second, third)).values()) == 1


def test_a_holder_of_another_zone_does_not_draw_a_node_out_of_its_own() -> None:
    """A cell of the own zone is joined although somebody far away is idle."""
    infos = many(range(2, 5), zone="b")
    cluster = cold(*infos)
    cluster.holds(node(50, zone="c"))
    cluster.joins(node(5, zone="b"))
    assert set(cluster.parents(node(5, zone="b"))) <= numbers(infos)


def test_who_wants_a_part_feeds_nobody() -> None:
    """A partial reader takes from the others' cell; nobody, of any time, takes from it."""
    infos = many(range(2, 6))
    cluster = cold(*infos)
    reader = node(9, zone="a")
    cluster.joins(reader, partial=True)
    for info in many(range(10, 14)):
        cluster.joins(info)
    cluster.now = LATE
    for info in many(range(20, 24)):
        cluster.joins(info)
    others = infos + many(range(10, 14)) + many(range(20, 24))
    assert not feeders(cluster, others) & {9}
    assert set(cluster.parents(reader)) <= numbers(others)


def test_who_wants_all_after_a_part_joins_the_others() -> None:
    """A reader that asks for the whole blob stands in a cell like anybody else."""
    reader = node(2, zone="a")
    cluster = cold()
    cluster.joins(reader, partial=True)
    cluster.joins(reader)
    infos = many(range(3, 9))
    for info in infos:
        cluster.joins(info)
    assert feeders(cluster, infos) & {2}


def test_who_is_done_takes_nothing_and_keeps_its_place() -> None:
    """A member that has the blob goes on feeding those who hang on it."""
    infos = many(range(2, 12))
    cluster = cold(*infos)
    before = [cluster.parents(info) for info in infos[1:]]
    cluster.holds(infos[0])
    assert cluster.parents(infos[0]) == []
    assert [cluster.parents(info) for info in infos[1:]] == before


@pytest.mark.parametrize("size", [16, 64])
@pytest.mark.parametrize("dead", [2, 3, 4, 8, 9, 16, 17])
def test_a_dead_members_place_is_filled(dead: int, size: int) -> None:
    """Whoever of a cell dies, its children are fed by living ones, at nobody's greater cost."""
    infos = many(range(2, 2 + size))
    cluster = cold(*infos)
    left = [info for info in infos if info.node_id != node_id(dead)]
    cluster.joins(left[-1], gone=[dead])
    assert dead not in feeders(cluster, left)
    fed = loads(cluster, left)
    assert max(fed.values()) == fed[1] == 1
    assert cluster.parents(node(dead, zone="a")) == []


def test_a_dead_node_is_in_no_plan() -> None:
    """Whom somebody finds gone is nobody's parent and nobody's fallback."""
    infos = many(range(2, 18))
    cluster = cold(*infos)
    cluster.joins(infos[-1], gone=[4])
    for info in infos:
        if info.node_id != node_id(4):
            assert not any(4 in peers for peers in cluster.joins(info))


def test_cells_of_a_dead_host_find_another() -> None:
    """When a holder that feeds a cell dies, the cell hangs on what is left, the seeder at last."""
    cluster = cold()
    for holder in many((50, 51)):
        cluster.holds(holder)
    first = node(2, zone="a")
    cluster.joins(first)
    assert set(cluster.parents(first)) <= {50, 51}
    (host,) = set(cluster.parents(first))
    other = {50, 51} - {host}
    assert host is not None
    cluster.advertise(Advert(node=node(host, zone="a"), dropped=(BLOB,)))
    assert set(cluster.parents(first)) == other
    cluster.advertise(Advert(node=node(other.pop(), zone="a"), dropped=(BLOB,)))
    assert set(cluster.parents(first)) == {1}


def test_a_cell_outlives_the_cell_it_hangs_on() -> None:
    """When all of the cell before it die, a cell takes their place at the seeder."""
    early, late = many(range(2, 6)), many(range(20, 24))
    cluster = cold(*early)
    cluster.now = LATE
    for info in late:
        cluster.joins(info)
    cluster.joins(late[0], gone=[2, 3, 4, 5])
    assert feeders(cluster, late) <= {1, *numbers(late)}
    assert loads(cluster, late)[1] == 1


def test_the_seeders_death_leaves_the_roots_without_a_feeder() -> None:
    """What the members have they still give each other; the next seeder feeds the roots."""
    infos = many(range(2, 10))
    cluster = cold(*infos)
    before = [cluster.parents(info) for info in infos]
    cluster.advertise(Advert(node=ORIGIN, dropped=(BLOB,)))
    orphaned = [[None if p == 1 else p for p in parents] for parents in before]
    assert [cluster.parents(info) for info in infos] == orphaned
    heir = node(40, zone="a", seeder=True)
    cluster.now = 50.0
    for info in [heir, *infos]:
        cluster.advertise(Advert(node=info))
    cluster.now = 70.0
    assert cluster.machine.expire(cluster.now) == [ORIGIN.node_id]
    cluster.joins(infos[-1])
    assert loads(cluster, infos)[40] == 1
    assert None not in feeders(cluster, infos)


def test_who_loses_its_parents_is_named() -> None:
    """Nodes whose parents have changed, or that were dropped, are told; the others are not."""
    infos = many(range(2, 18))
    cluster = cold(*infos)
    before = {info.node_id: cluster.parents(info) for info in infos}
    cluster.machine.take_changed()
    cluster.joins(infos[-1], gone=[2])
    changed = {info.node_id for info in infos if cluster.parents(info) != before[info.node_id]}
    assert {member for _, member in cluster.machine.take_changed()} >= changed
    assert node_id(2) in changed
    assert len(changed) <= 9
    assert cluster.machine.take_changed() == set()


def test_who_has_more_comes_before_those_who_have_less() -> None:
    """A tracker that takes a wave over hears of it in any order, and puts it right."""
    cluster = cold()
    for number, done in ((2, 20), (3, 41), (4, 40), (5, 0), (6, 60)):
        cluster.joins(node(number, zone="a"), done=done)
    line = [cluster.parents(node(number, zone="a")) for number in (6, 3, 4, 2, 5)]
    assert line == [[1], [6], [3], [4], [2]]
