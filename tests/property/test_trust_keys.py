"""Key files over arbitrary keys and texts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eagle_node.base.errors import UsageError
from eagle_node.trust.key import ClusterKey, format_keys, parse_keys

_keys = st.binary(min_size=32, max_size=32)
_rings = st.lists(_keys, min_size=1, max_size=4, unique=True).map(
    lambda keys: ClusterKey(primary=keys[0], others=tuple(keys[1:]))
)


@given(_rings)
def test_rings_survive_the_file(ring: ClusterKey) -> None:
    """What is written is read, in its order."""
    assert parse_keys(format_keys(ring), source="file") == ring


@given(st.text())
def test_any_text_is_a_ring_or_a_usage_error(text: str) -> None:
    """No file content does worse than an error that a user can read."""
    try:
        ring = parse_keys(text, source="file")
    except UsageError:
        return
    assert all(len(key) == 32 for key in (ring.primary, *ring.others))


@given(key=_keys, one=st.text(max_size=20), two=st.text(max_size=20))
def test_labels_keep_keys_apart(key: bytes, one: str, two: str) -> None:
    """Derived keys are equal exactly when their labels are."""
    ring = ClusterKey(primary=key)
    assert (ring.derive(one) == ring.derive(two)) == (one == two)


@given(one=_keys, two=_keys)
def test_clusters_have_keys_of_their_own(one: bytes, two: bytes) -> None:
    """The same use in another cluster has another key."""
    derived = ClusterKey(primary=one).derive("use"), ClusterKey(primary=two).derive("use")
    assert (derived[0] == derived[1]) == (one == two)
