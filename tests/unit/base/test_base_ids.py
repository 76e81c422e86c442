"""Rules of identifiers."""

from __future__ import annotations

from eagle_node.base.ids import new_node_id


def test_node_ids_are_32_hex_digits_and_never_the_same() -> None:
    """An id is 128 random bits."""
    drawn = {new_node_id() for _ in range(100)}
    assert len(drawn) == 100
    assert all(len(each) == 32 and not set(each) - set("0123456789abcdef") for each in drawn)
