"""Sets of bytes against sets of numbers."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from eagle_node.base.intervals import IntervalSet
from eagle_node.base.ranges import ByteRange

RUNS = st.tuples(st.integers(0, 40), st.integers(0, 12)).map(
    lambda pair: ByteRange(pair[0], pair[0] + pair[1])
)


@given(st.lists(st.tuples(st.booleans(), RUNS), max_size=20), RUNS)
def test_it_holds_what_a_set_of_numbers_holds(
    changes: list[tuple[bool, ByteRange]], asked: ByteRange
) -> None:
    """Whatever is added and discarded, in whatever order; runs never touch."""
    held, model = IntervalSet(), set[int]()
    for adding, run in changes:
        numbers = range(run.start, run.stop)
        if adding:
            held.add(run)
            model.update(numbers)
        else:
            held.discard(run)
            model.difference_update(numbers)
    runs = list(held)
    assert [n for run in runs for n in range(run.start, run.stop)] == sorted(model)
    assert all(before.stop < after.start for before, after in pairwise(runs))
    assert (held.total, bool(held)) == (len(model), bool(model))
    wanted = set(range(asked.start, asked.stop))
    gaps = list(held.gaps(asked))
    assert [n for run in gaps for n in range(run.start, run.stop)] == sorted(wanted - model)
    assert held.covers(asked) == (wanted <= model)
    assert held.intersects(asked) == bool(wanted & model)
    end = held.end_of(asked.start)
    assert set(range(asked.start, end)) <= model
    assert end not in model


@given(st.lists(RUNS, max_size=20))
def test_a_copy_holds_the_same(runs: list[ByteRange]) -> None:
    """However it was made."""
    held = IntervalSet(runs)
    assert list(IntervalSet(held)) == list(held)
