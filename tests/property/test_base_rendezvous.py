"""Rendezvous hashing over arbitrary keys and node names."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from eagle_node.base.rendezvous import ranked, rendezvous

_names = st.sets(st.text(max_size=20), min_size=1, max_size=12)


@given(
    key=st.text(st.characters(codec="utf-8", exclude_characters="\0")), names=_names, data=st.data()
)
def test_the_order_does_not_depend_on_the_order_given(
    key: str, names: set[str], data: st.DataObject
) -> None:
    """Nodes that know the same members agree, in whatever order they learnt of them."""
    shuffled = data.draw(st.permutations(sorted(names)))
    assert rendezvous(key, shuffled) == rendezvous(key, sorted(names))


@given(key=st.text(), names=_names, data=st.data())
def test_a_node_that_leaves_moves_no_other(key: str, names: set[str], data: st.DataObject) -> None:
    """Removing one node keeps the order of the rest."""
    leaver = data.draw(st.sampled_from(sorted(names)))
    rest = [each for each in rendezvous(key, names) if each != leaver]
    assert rendezvous(key, names - {leaver}) == rest


@given(key=st.text(), names=_names)
def test_repeated_names_rank_once(key: str, names: set[str]) -> None:
    """A name that is known twice is responsible once, in the same order."""
    assert ranked(key, [*names, *names]) == rendezvous(key, names)


def test_keys_spread_evenly() -> None:
    """Each of five nodes owns a fifth of 5000 keys, give or take a tenth of that."""
    owners = Counter(rendezvous(f"key-{n}", range(5))[0] for n in range(5000))
    assert all(900 <= owned <= 1100 for owned in owners.values())


def test_the_order_is_a_wire_constant() -> None:
    """Releases that disagree would fetch a blob from origin twice, so the order is pinned."""
    nodes = ["10.0.0.1:55008", "10.0.0.2:55008", "10.0.0.3:55008"]
    assert rendezvous("sha256:" + "0" * 64, nodes) == [
        "10.0.0.1:55008",
        "10.0.0.2:55008",
        "10.0.0.3:55008",
    ]
