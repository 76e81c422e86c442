"""Waiting for a fact about another process: ask often, give up with a sentence."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class TimedOut(AssertionError):
    """Something that should have happened by now has not."""


async def until(
    fact: Callable[[], Awaitable[bool]],
    *,
    what: str,
    timeout: float = 30.0,
    interval: float = 0.02,
) -> None:
    """Return as soon as ``fact`` holds, asked every ``interval`` seconds; `TimedOut` names it.

    For facts that another process makes true and announces to nobody; inside one process, wait for
    an event instead.
    """
    try:
        async with asyncio.timeout(timeout):
            while True:
                if await fact():
                    return
                await asyncio.sleep(interval)
    except TimeoutError:
        raise TimedOut(f"waited {timeout:g} s for {what}") from None
