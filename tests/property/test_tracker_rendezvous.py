"""Who is responsible for a key."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eagle_node.base.rendezvous import ranked

names = st.lists(st.text(max_size=20), unique=True, min_size=1, max_size=12)


@given(st.text(max_size=20), names)
def test_everybody_ranks_alike(key: str, some: list[str]) -> None:
    """Neither order nor repeats change the ranking."""
    assert ranked(key, some) == ranked(key, [*reversed(some), *some])
    assert sorted(ranked(key, some)) == sorted(some)


@given(st.text(max_size=20), names)
def test_a_name_that_goes_away_moves_nothing_else(key: str, some: list[str]) -> None:
    """Without one of them, the others keep their order."""
    order = ranked(key, some)
    assert ranked(key, [name for name in some if name != order[0]]) == order[1:]


def test_keys_are_spread() -> None:
    """Each of four names is responsible for about a quarter of the keys."""
    firsts = [ranked(str(key), "abcd")[0] for key in range(2000)]
    assert all(400 < firsts.count(name) < 600 for name in "abcd")
