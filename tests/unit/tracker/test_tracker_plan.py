"""The plan, sentence by sentence."""

from __future__ import annotations

import pytest

from eagle_node.base.ids import NodeId
from eagle_node.tracker.plan import COMPLETE_SLOTS, MAX_PEERS, Candidate, Joiner, plan
from eagle_node.tracker.schema import NodeInfo
from tests.unit.tracker.builders import SIZE, node, node_id


def holder(info: NodeInfo, *, children: int = 0, votes: int = 0) -> Candidate:
    """A node that has the blob."""
    return Candidate(node=info, complete=True, children=children, votes=votes)


def growing(
    info: NodeInfo,
    *,
    depth: int = 1,
    children: int = 0,
    guests: int = 0,
    ancestor: int = 0,
    alive: bool = False,
) -> Candidate:
    """A node that downloads the blob."""
    return Candidate(
        node=info,
        complete=False,
        growing=True,
        depth=depth,
        children=children,
        guests=guests,
        ancestor=ancestor,
        alive=alive,
    )


def seeder(info: NodeInfo, *, children: int = 0) -> Candidate:
    """The blob's seeder."""
    return Candidate(node=info, complete=True, seeder=True, children=children)


def ask(
    *candidates: Candidate,
    joiner: NodeInfo | None = None,
    size: int = SIZE,
    usual_rate: int = 12_500_000,
    failed: tuple[NodeId, ...] = (),
    parent: NodeId | None = None,
) -> list[int]:
    """Numbers of the peers that node 99 (or ``joiner``) gets."""
    peers = plan(
        candidates,
        Joiner(
            node=joiner or node(99),
            size=size,
            usual_rate=usual_rate,
            failed=failed,
            parent=parent,
        ),
    )
    return [int(peer.node_id, 16) for peer in peers]


def test_nobody_to_ask() -> None:
    """Without candidates the plan is empty."""
    assert ask() == []


def test_the_seeder_feeds_the_first() -> None:
    """The first to join hangs on the seeder."""
    assert ask(seeder(node(1))) == [1]


def test_the_tail_feeds_the_next() -> None:
    """While somebody else can serve, the seeder has one child: the next joiner takes the tail."""
    assert ask(seeder(node(1), children=1), growing(node(2), depth=1)) == [2, 1]


def test_nothing_splits_while_a_tail_is_free() -> None:
    """A node that already feeds one comes after a free tail, however near to the seeder it is."""
    chain = [growing(node(n), depth=n, children=1) for n in range(2, 40)]
    assert ask(*chain, growing(node(40), depth=40))[0] == 40


def test_an_idle_holder_beats_the_chain() -> None:
    """A complete holder without children is better than any tail."""
    assert ask(growing(node(2), depth=1), holder(node(3)))[0] == 3


def test_a_busy_holder_beats_a_chain_that_is_deep_for_the_blob() -> None:
    """Once the hops cost more than half of an uplink, a free slot of a holder is taken."""
    small = 1 << 20
    tail, busy = growing(node(2), depth=20), holder(node(3), children=1)
    assert ask(tail, busy, size=small)[0] == 3
    assert ask(tail, busy, size=1 << 30)[0] == 2


def test_a_holder_has_so_many_slots() -> None:
    """A complete holder without a free slot comes after everybody who has one."""
    full = holder(node(3), children=COMPLETE_SLOTS)
    assert ask(full, growing(node(2), depth=500, children=1), size=1)[0] == 2


def test_the_zone_comes_before_the_load() -> None:
    """A tail in the joiner's zone beats an idle holder outside: the border is crossed once."""
    inside = growing(node(2, zone="a"), depth=9, children=1, guests=1)
    assert ask(inside, holder(node(3, zone="b")), joiner=node(99, zone="a"))[0] == 2


def test_the_last_slot_is_kept_for_the_own_zone() -> None:
    """A tail that feeds another zone already takes no second guest."""
    first = growing(node(2, zone="a"), children=1, guests=1)
    second = growing(node(3, zone="b"), depth=2, children=0)
    assert ask(first, second, joiner=node(99, zone="c"))[0] == 3


def test_the_nearest_of_equals_feeds() -> None:
    """Among idle holders of one zone the same rack counts, then the longest common prefix."""
    far = holder(node(1, host="10.9.0.1", rack="r1"))
    near = holder(node(2, host="10.1.2.3", rack="r1"))
    rack = holder(node(3, host="10.200.0.1", rack="r2"))
    joiner = node(99, host="10.1.2.4", rack="r1")
    assert ask(rack, far, near, joiner=joiner) == [2, 1, 3]
    six = node(99, host="2001:db8::5", rack="r1")
    close = holder(node(4, host="2001:db8::6", rack="r1"))
    assert ask(far, close, joiner=six)[0] == 4


def test_slow_nodes_feed_nobody_while_others_can() -> None:
    """A tail that sends slowly is passed over, even for a node that splits."""
    slow = growing(node(2, upload_rate=1_000_000), depth=3)
    split = growing(node(3), depth=2, children=1, guests=1)
    assert ask(slow, split) == [3, 2]
    assert ask(slow) == [2]


def test_slow_children_are_no_load() -> None:
    """A slow leaf beside the chain does not make its parent count as busy."""
    beside = Candidate(
        node=node(2), complete=False, growing=True, depth=5, children=1, slow_children=1, guests=1
    )
    assert ask(beside, growing(node(3), depth=1, children=1))[0] == 2


def test_failed_peers_are_left_out() -> None:
    """Who gave the joiner no progress is not in its plan."""
    assert ask(holder(node(1)), growing(node(2)), failed=(node_id(1),)) == [2]


def test_suspects_come_last() -> None:
    """Somebody else's complaint puts a node behind all others."""
    assert ask(holder(node(1), votes=1), growing(node(2), depth=9, children=1)) == [2, 1]


def test_asking_again_changes_nothing() -> None:
    """A parent that did not fail stays the parent, whatever else is on offer now."""
    mine = growing(node(2), depth=7, children=1, ancestor=1)
    assert ask(holder(node(1)), mine, parent=node_id(2))[0] == 2


def test_a_child_takes_the_place_of_its_parent() -> None:
    """The grand-parent becomes the parent when it has a free slot."""
    up = [growing(node(n), depth=9 - n, children=1, ancestor=n) for n in (2, 3, 4)]
    dead = growing(node(1), depth=8, children=1, ancestor=1)
    assert ask(dead, *up, failed=(node_id(1),), parent=node_id(1))[0] == 2


def test_an_ancestor_with_signs_of_life_comes_first() -> None:
    """Of several ancestors the nearest that has called since the joiner last progressed."""
    silent = growing(node(2), depth=7, children=1, ancestor=2)
    living = growing(node(3), depth=6, children=1, ancestor=3, alive=True)
    assert ask(silent, living, failed=(node_id(1),), parent=node_id(1)) == [3, 2]


def test_one_that_stopped_is_no_parent() -> None:
    """A node that has a part and is not downloading comes after those that grow."""
    stopped = Candidate(node=node(1), complete=False)
    assert ask(stopped, growing(node(2), depth=50, children=1)) == [2, 1]


@pytest.mark.parametrize("count", [MAX_PEERS, 30])
def test_fallbacks_reach_outside(count: int) -> None:
    """However many are near, one peer outside the zone and the seeder are in the plan."""
    near = [holder(node(n, zone="a")) for n in range(1, count + 1)]
    outside = growing(node(50, zone="b"), depth=30, children=1, guests=1)
    origin = seeder(node(60, zone="a"), children=5)
    peers = ask(*near, outside, origin, joiner=node(99, zone="a"))
    assert len(peers) == MAX_PEERS
    assert {50, 60} <= set(peers)
    assert peers[0] in range(1, count + 1)
