"""How fast a wave's nodes are taken to be."""

from __future__ import annotations

import pytest

from eagle_node.base.ids import NodeId
from eagle_node.tracker.pace import Pace
from eagle_node.tracker.plan import USUAL_RATE
from tests.unit.tracker.builders import node, node_id


def pace(*rates: int) -> tuple[Pace, set[NodeId]]:
    """Nodes 0 and up have said these rates."""
    known = Pace()
    for number, rate in enumerate(rates):
        known.note(node(number, upload_rate=rate))
    nodes = {node_id(number) for number in range(len(rates))}
    known.check(nodes)
    return known, nodes


def test_the_usual_rate_is_a_guess_at_first() -> None:
    """While nobody has said how fast it is, 100 Mbit/s are usual."""
    assert pace()[0].usual == USUAL_RATE == 12_500_000


def test_who_says_nothing_counts_nothing() -> None:
    """A rate of 0 is unknown, and no slow node."""
    assert pace(0, 0)[0].usual == USUAL_RATE
    assert pace(0, 500, 0)[0].usual == 500


@pytest.mark.parametrize(
    ("rates", "usual"), [((7,), 7), ((9, 1, 5), 5), ((1, 9, 5, 7), 7), ((1, 1, 1, 1000), 1)]
)
def test_the_median_is_usual(rates: tuple[int, ...], usual: int) -> None:
    """Neither one very fast node nor one very slow node shifts it; of two, the faster counts."""
    assert pace(*rates)[0].usual == usual


def test_who_is_forgotten_counts_no_more() -> None:
    """Of equal rates one goes with each node; the guess comes back behind the last."""
    known, nodes = pace(5, 5, 9)
    for number, usual in ((0, 9), (1, 9), (2, USUAL_RATE)):
        known.forget(node_id(number))
        nodes.remove(node_id(number))
        known.check(nodes)
        assert known.usual == usual


def test_one_that_was_never_known_may_be_forgotten() -> None:
    """So may one that said nothing."""
    known, nodes = pace(0, 5)
    known.forget(node_id(0))
    known.forget(node_id(77))
    known.check(nodes)
    assert known.usual == 5
