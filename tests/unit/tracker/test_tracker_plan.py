"""What a cell hangs on, and who stands in for a parent, sentence by sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eagle_node.blobs.segments import layout_of
from eagle_node.tracker.plan import (
    CHAIN,
    MAX_PEERS,
    SLOW,
    STRIPED,
    TREE,
    USUAL_RATE,
    Host,
    Kind,
    is_slow,
    open_for_s,
    order,
    rank,
    shape_for,
)
from tests.unit.tracker.builders import MIB, SIZE, node, node_id

COMPLETE = Host(kind=Kind.COMPLETE, near=True, load=0)
CELL = Host(kind=Kind.CELL, near=True, load=0, number=1)
SEEDER = Host(kind=Kind.SEEDER, near=True, load=0)


def numbers(ancestors: range, others: range, *failed: int) -> list[int]:
    """The numbers of a stripe's peers, in their order."""
    peers = order(map(node, ancestors), map(node, others), {node_id(n) for n in failed})
    return [int(peer.node_id, 16) for peer in peers]


def test_few_nodes_form_a_chain() -> None:
    """A hop is cheap as long as there are few; a lone node is a chain as well."""
    assert {shape_for(nodes, SIZE, USUAL_RATE) for nodes in (0, 1, 2, 4, 10)} == {CHAIN}


def test_many_nodes_form_two_trees_in_stripes() -> None:
    """Levels grow with the logarithm of the number of nodes; each uplink still carries one copy."""
    assert {shape_for(nodes, SIZE, USUAL_RATE) for nodes in (100, 1000, 10_000)} == {STRIPED}
    assert STRIPED.stripes == STRIPED.arity


def test_a_growing_cell_leaves_the_chain_once() -> None:
    """From some number of nodes on, trees are better, and stay so."""
    shapes = [shape_for(nodes, SIZE, USUAL_RATE) for nodes in range(1, 2000)]
    chains = shapes.count(CHAIN)
    assert shapes == [CHAIN] * chains + [STRIPED] * (1999 - chains)


@pytest.mark.parametrize("size", [0, 1, 256 << 10])
def test_a_blob_of_one_segment_goes_through_one_binary_tree(size: int) -> None:
    """What has no second segment, or none at all, has nothing to deal out."""
    assert len(layout_of(size).segments) <= 1
    assert shape_for(2, size, USUAL_RATE) == CHAIN
    assert shape_for(1000, size, USUAL_RATE) == TREE


def test_a_plain_tree_is_for_what_is_small_for_the_links() -> None:
    """It halves the rate: where one segment takes minutes, hundreds of hops are quicker."""
    assert shape_for(1000, 256 << 10, 1000) == CHAIN
    assert shape_for(1000, 256 << 10, 0) == CHAIN


def test_a_cell_is_open_for_a_share_of_the_blobs_time() -> None:
    """The share is a twentieth, within 1.2 and 2 seconds."""
    assert open_for_s(30 * USUAL_RATE, USUAL_RATE) == pytest.approx(1.5)
    assert open_for_s(MIB, USUAL_RATE) == 1.2
    assert open_for_s(1 << 40, USUAL_RATE) == 2.0


def test_a_cell_is_open_even_if_nothing_flows() -> None:
    """A usual rate of nothing opens a cell for as long as any may be."""
    assert open_for_s(SIZE, 0) == 2.0
    assert open_for_s(0, 0) == 1.2


@pytest.mark.parametrize(
    ("rate", "slow"),
    [(0, False), (1, True), (int(1000 * SLOW) - 1, True), (int(1000 * SLOW), False), (2000, False)],
)
def test_slow_is_who_is_known_to_be_below_half_of_the_usual(rate: int, slow: bool) -> None:
    """A node that has not said how fast it is counts as usual."""
    assert is_slow(node(1, upload_rate=rate), 1000) is slow


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        pytest.param(
            replace(COMPLETE, load=9, lame=True, near=False),
            replace(COMPLETE, votes=1),
            id="anything before one that somebody complained of",
        ),
        pytest.param(
            replace(CELL, load=9, near=False),
            replace(CELL, lame=True),
            id="any usual one, however far, before slow ones",
        ),
        pytest.param(
            replace(CELL, load=9),
            replace(COMPLETE, near=False),
            id="a loaded one of the zone before a free one of another",
        ),
        pytest.param(SEEDER, replace(COMPLETE, load=1), id="what is free before what feeds"),
        pytest.param(COMPLETE, CELL, id="a complete holder before those still downloading"),
        pytest.param(CELL, SEEDER, id="those still downloading before the seeder"),
        pytest.param(
            replace(COMPLETE, load=2),
            replace(CELL, load=1),
            id="of two that feed, a complete one whatever its load",
        ),
        pytest.param(
            replace(COMPLETE, load=1, distance=(2, 0)),
            replace(COMPLETE, load=2),
            id="the less loaded of one kind, however far",
        ),
        pytest.param(
            replace(COMPLETE, distance=(0, -8)),
            replace(COMPLETE, distance=(1, -32)),
            id="near ones before far ones",
        ),
        pytest.param(replace(CELL, number=2), CELL, id="the last of the line of equals"),
    ],
)
def test_the_better_host_comes_first(better: Host, worse: Host) -> None:
    """The first difference decides, in the order of complaints, speed, zone, load, kind, place."""
    assert rank(better) < rank(worse)


def test_the_parent_comes_first_then_ancestors_then_others() -> None:
    """Ancestors never wait for their descendants, so they stand in before anybody else."""
    assert numbers(range(1, 4), range(10, 13)) == [1, 2, 3, 10, 11, 12]


def test_of_a_long_line_the_next_three_and_the_topmost_stand_in() -> None:
    """The topmost of the line outlives a death of the whole neighbourhood."""
    assert numbers(range(1, 21), range(50, 52)) == [1, 2, 3, 4, 20, 50, 51]
    assert numbers(range(1, 6), range(0)) == [1, 2, 3, 4, 5]


def test_nobody_stands_in_twice() -> None:
    """Who is both an ancestor and another source keeps the better place."""
    assert numbers(range(1, 4), range(3, 6)) == [1, 2, 3, 4, 5]


def test_who_failed_is_left_out() -> None:
    """The nearest ancestor that has not failed becomes the parent."""
    assert numbers(range(1, 21), range(50, 53), 1, 2, 51) == [3, 4, 5, 6, 20, 50, 52]


def test_a_stripe_has_a_bounded_number_of_peers() -> None:
    """However many could stand in, a plan fits into a small message."""
    assert numbers(range(1, 21), range(50, 80)) == [1, 2, 3, 4, 20, 50, 51, 52]
    assert len(numbers(range(0), range(50, 80))) == MAX_PEERS
    assert numbers(range(0), range(0)) == []
