"""Lifetimes and moments of announcements."""

from __future__ import annotations

from itertools import islice

import pytest

from eagle_node.vip.policy import announcement_pauses, lifetime_s


@pytest.mark.parametrize(
    ("remaining", "lifetime"), [(3.9, 3), (1.0, 1), (0.99, None), (0.0, None), (-5.0, None)]
)
def test_the_kernels_lifetime_ends_within_the_lease(remaining: float, lifetime: int | None) -> None:
    """Lifetimes are whole seconds, rounded down: never longer than the lease."""
    assert lifetime_s(remaining) == lifetime


def test_announcements_come_often_at_first_and_never_end() -> None:
    """Several within the first two seconds, then one every half minute."""
    pauses = list(islice(announcement_pauses(), 8))
    assert sum(pauses[:4]) <= 2
    assert pauses[5:] == [30.0] * 3
