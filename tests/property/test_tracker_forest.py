"""A forest keeps its shape whoever comes and goes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eagle_node.base.ids import NodeId
from eagle_node.tracker.forest import Forest
from tests.unit.tracker.builders import edges

steps = st.lists(st.tuples(st.booleans(), st.integers(0, 1 << 16)), max_size=60)
"""True: somebody joins; False: one of the members leaves."""


def is_fed(trees: Forest, member: NodeId, stripe: int) -> bool:
    """Whether the line of feeders ends outside."""
    for _ in range(len(trees)):
        feeder = trees.parent(member, stripe)
        if feeder is None:
            return True
        member = feeder
    return False


@given(st.integers(1, 2), st.integers(0, 30), steps)
def test_any_history_leaves_a_forest(
    stripes: int, first: int, history: list[tuple[bool, int]]
) -> None:
    """All are fed, each feeds two at the most, few change parents, and those are named."""
    trees = Forest(stripes=stripes, arity=2)
    members: list[NodeId] = []
    for number, (joins, pick) in enumerate([(True, 0)] * first + history):
        before = edges(trees)
        if joins or not members:
            members.append(NodeId(f"{number:032x}"))
            touched, bound = trees.join(members[-1]), 1
        else:
            bound = 2 * len(members).bit_length() + 8
            touched = trees.leave(members.pop(pick % len(members)))
        trees.check()
        after = edges(trees)
        changed = {at for at in before.keys() & after.keys() if before[at] != after[at]}
        assert {member for member, _ in changed} <= touched <= {*members}
        assert len({member for member, _ in changed}) <= bound
        assert set(trees) == set(members)
        assert all(is_fed(trees, member, stripe) for member, stripe in after)
        for member in members:
            assert trees.children(member) == sum(m == member for m in after.values()) <= 2


@given(st.integers(1, 3), st.integers(1, 3), st.lists(st.integers(0, 9), max_size=40))
def test_nobody_waits_for_who_is_far_behind(stripes: int, arity: int, done: list[int]) -> None:
    """Where there is one tree, whoever feeds one is not behind him; those who move are named."""
    trees = Forest(stripes=stripes, arity=arity)
    ahead = {NodeId(f"{number:032x}"): each for number, each in enumerate(done)}

    def moved(member: NodeId) -> None:
        trees.join(member)
        before = edges(trees)
        touched = trees.advance(member, lambda other: ahead[other] < ahead[member])
        trees.check()
        after = edges(trees)
        assert {m for m, stripe in before if before[m, stripe] != after[m, stripe]} <= touched
        assert touched <= set(trees)

    for member in ahead:
        moved(member)
        for feeder, other in ((trees.parent(other, 0), other) for other in trees):
            assert stripes > 1 or feeder is None or ahead[feeder] >= ahead[other]
