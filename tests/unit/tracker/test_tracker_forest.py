"""The arithmetic of a cell's trees."""

from __future__ import annotations

from collections import Counter

import pytest

from eagle_node.base.ids import NodeId
from eagle_node.tracker.forest import Forest
from tests.unit.tracker.builders import edges, node_id


def forest(size: int, *, stripes: int = 2, arity: int = 2) -> Forest:
    """Members 1 to ``size``, who joined in this order."""
    trees = Forest(stripes=stripes, arity=arity)
    for number in range(1, size + 1):
        trees.join(node_id(number))
    trees.check()
    return trees


def loads(trees: Forest) -> Counter[NodeId | None]:
    """Stripes that each member feeds to others; None: those from outside."""
    return Counter(edges(trees).values())


def depth(trees: Forest, stripe: int) -> int:
    """Members above the deepest member of a stripe."""
    deepest = 0
    for member in trees:
        above: list[NodeId] = []
        at = trees.parent(member, stripe)
        while at is not None:
            assert at not in above, "a loop"
            above.append(at)
            at = trees.parent(at, stripe)
        deepest = max(deepest, len(above))
    return deepest


def test_an_empty_forest_has_nobody() -> None:
    """No members, no roots."""
    trees = forest(0)
    assert (len(trees), list(trees), trees.roots()) == (0, [], set())
    assert node_id(1) not in trees


def test_a_lone_member_is_fed_from_outside() -> None:
    """It takes every stripe from outside, and feeds both stripes of whatever hangs on it."""
    trees = forest(1)
    assert edges(trees) == {(node_id(1), 0): None, (node_id(1), 1): None}
    assert trees.roots() == {node_id(1)}
    assert [trees.spare(stripe, 0) for stripe in (0, 1)] == [node_id(1)] * 2


@pytest.mark.parametrize("size", [2, 3, 7, 8, 31, 100, 1000])
@pytest.mark.parametrize(("stripes", "arity"), [(1, 2), (2, 2), (3, 3), (4, 4)])
def test_depth_is_logarithmic(size: int, stripes: int, arity: int) -> None:
    """Every tree is as shallow as a full tree of its arity, the leaves of its end apart."""
    trees = forest(size, stripes=stripes, arity=arity)
    full, levels = 1, 0
    while full < size:
        full, levels = full * arity + 1, levels + 1
    for stripe in range(stripes):
        assert depth(trees, stripe) <= levels + 1


def test_a_thousand_nodes_are_nine_hops_deep() -> None:
    """The last of 1,000 is log2(1,000) hops below the root, in both stripes."""
    trees = forest(1000)
    assert [depth(trees, stripe) for stripe in (0, 1)] == [9, 9]


@pytest.mark.parametrize("size", [2, 3, 10, 101, 500])
def test_each_forwards_one_stripe(size: int) -> None:
    """Who has children in one tree is a leaf of the other; half of the members forward each."""
    trees = forest(size)
    for (_, stripe), feeder in edges(trees).items():
        assert feeder is None or trees.forwards(feeder) == stripe
    shares = Counter(trees.forwards(member) for member in trees)
    assert abs(shares[0] - shares[1]) <= 1


@pytest.mark.parametrize("size", [1, 2, 3, 4, 10, 101, 500])
def test_each_feeds_as_many_as_there_are_stripes_at_the_most(size: int) -> None:
    """Every uplink carries the blob once: two children for one of two stripes each."""
    trees = forest(size)
    fed = loads(trees)
    assert fed.pop(None) == 2
    assert max(fed.values(), default=0) <= 2
    assert all(trees.children(member) == fed[member] for member in trees)


@pytest.mark.parametrize("size", [2, 3, 10, 101])
def test_the_blob_comes_from_outside_once(size: int) -> None:
    """Each stripe has one root, and the roots differ."""
    trees = forest(size)
    outside = [(member, stripe) for (member, stripe), feeder in edges(trees).items() if not feeder]
    assert sorted(stripe for _, stripe in outside) == [0, 1]
    assert {member for member, _ in outside} == trees.roots()
    assert len(trees.roots()) == 2


@pytest.mark.parametrize("size", [*range(1, 20), 200, 201])
def test_there_is_one_uplink_to_spare(size: int) -> None:
    """One cell outside is fed both stripes without anybody feeding more than two."""
    trees = forest(size)
    fed = loads(trees) + Counter(trees.spare(stripe, 0) for stripe in (0, 1))
    fed.pop(None)
    assert sum(fed.values()) == 2 * size
    assert set(fed.values()) == {2}


@pytest.mark.parametrize("guest", [1, 2, 10])
def test_more_guests_are_fed_beyond_what_is_spare(guest: int) -> None:
    """A forest turns no cell away: its last forwarders feed more than their share."""
    trees = forest(20)
    assert all(trees.spare(stripe, guest) in trees for stripe in (0, 1))


def test_a_newcomer_takes_nobodys_place_but_the_first_leafs() -> None:
    """One older member changes one parent at the most when another joins."""
    trees = forest(1)
    for number in range(2, 200):
        before = edges(trees)
        touched = trees.join(node_id(number))
        after = edges(trees)
        changed = {at for at in before if before[at] != after[at]}
        assert len(changed) <= 1
        assert {member for member, _ in changed} | {node_id(number)} <= touched


def test_a_death_disturbs_few() -> None:
    """Whoever leaves a hundred nodes, two others per level change a parent, and few more."""
    for number in range(1, 101):
        trees = forest(100)
        before = edges(trees)
        touched = trees.leave(node_id(number))
        trees.check()
        after = edges(trees)
        changed = {member for (member, s), feeder in after.items() if before[member, s] != feeder}
        assert changed <= touched
        assert len(changed) <= 2 * len(trees).bit_length() + 8
        assert node_id(number) not in trees


def test_in_a_chain_a_death_disturbs_the_child() -> None:
    """Where each feeds one, the leaver's child is fed by the leaver's feeder; all else stays."""
    for number in range(1, 20):
        trees = forest(20, stripes=1, arity=1)
        trees.leave(node_id(number))
        trees.check()
        order = [other for other in range(1, 21) if other != number]
        feeders = [None, *map(node_id, order)][:-1]
        assert [trees.parent(node_id(other), 0) for other in order] == feeders


def test_a_forest_that_shrinks_becomes_shallower() -> None:
    """The forest of who is left is as deep as it would have been without the leavers."""
    trees = forest(64)
    for number in (1, 2, 7, 30, 64):
        trees.leave(node_id(number))
    assert len(trees) == 59
    assert [depth(trees, stripe) for stripe in (0, 1)] == [5, 5]
    assert loads(trees)[None] == 2


@pytest.mark.parametrize("stripe", [0, 1])
def test_forwarders_are_balanced_after_leaves(stripe: int) -> None:
    """When all who forward one stripe leave, half of the others take it over."""
    trees = forest(40)
    for member in [member for member in trees if trees.forwards(member) == stripe]:
        trees.leave(member)
        trees.check()
    assert len(trees) == 20
    assert Counter(trees.forwards(member) for member in trees) == {0: 10, 1: 10}


def test_the_last_may_leave() -> None:
    """A forest that everybody has left is empty, and takes members again."""
    trees = forest(5)
    for number in (3, 1, 5, 2, 4):
        trees.leave(node_id(number))
        trees.check()
    assert len(trees) == 0
    assert trees.join(node_id(9)) == {node_id(9)}
    trees.check()
