"""An event loop whose time is driven by hand: a sleep ends at once, and the clock has moved on."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_TURN_S = 1e-7
"""What one turn of the loop takes at the least: time that stands still would never end a wait."""


class _Selector(selectors.SelectSelector):
    """Waits for nothing, and remembers how long it should have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += max(timeout or 0.0, _TURN_S)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """When nothing is ready to run, jumps to the time of the next timer."""

    def __init__(self) -> None:
        self._driven = _Selector()
        super().__init__(self._driven)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._driven.now


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main``; ``asyncio.get_running_loop().time`` is its clock."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
