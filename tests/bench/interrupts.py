"""Benchmarks that can be interrupted: a signal ends them as an exception would, and all is tidied.

Without this, SIGTERM would end the process at once: its children and namespaces would go as well
(`tests.support`), but not its temporary files.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``; one of `SIGNALS` cancels it and exits with 128 + its number.

    Further signals are ignored while the work tidies up.
    """
    caught: list[signal.Signals] = []

    async def guarded() -> T:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(work)

        def stop(number: signal.Signals) -> None:
            if not caught:
                caught.append(number)
                task.cancel()

        for number in SIGNALS:
            loop.add_signal_handler(number, stop, number)
        return await task

    try:
        return asyncio.run(guarded())
    except asyncio.CancelledError:
        if not caught:
            raise
    print(f"interrupted by {caught[0].name}; nothing was left behind", file=sys.stderr)
    raise SystemExit(128 + caught[0])
