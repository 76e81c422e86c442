"""Who may use the webhook listener, and how often."""

from __future__ import annotations

import pytest

from eagle_node.api.problems import Refusal
from eagle_node.preheat.webhooks import Allowance


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_a_burst_is_taken_and_then_so_many_per_second() -> None:
    """A hundred at once, ten a second; who comes too often hears when to come again."""
    clock = Clock()
    allowance = Allowance(clock)
    for _ in range(100):
        allowance.take()
    with pytest.raises(Refusal) as caught:
        allowance.take()
    assert caught.value.status == 429
    clock.seconds = 1.0
    for _ in range(10):
        allowance.take()
    with pytest.raises(Refusal):
        allowance.take()
