"""Work that signals stop."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Coroutine
from typing import Any

from eagle_node.cli.exits import Exit

SAME_S = 1.0
"""Signals this soon after the first are the same: whoever stops a process group or a control group
reaches the single executable's loader as well, which passes on what it gets."""


async def until_signal(work: Coroutine[Any, Any, Exit | None], *, on_sigterm: Exit) -> Exit:
    """Run ``work``, cancelled by the first SIGTERM or SIGINT; its exit code, or the signal's.

    SIGTERM ends what runs for ever as meant (``on_sigterm`` is OK), and breaks off other work.

    From `SAME_S` seconds after the first signal the default handlers are back, so that a second one
    ends the process.
    """
    codes = {signal.SIGTERM: on_sigterm, signal.SIGINT: Exit.INTERRUPTED}
    loop = asyncio.get_running_loop()
    task = loop.create_task(work, name="work")
    received: list[signal.Signals] = []
    again = 0.0

    def stop(number: signal.Signals) -> None:
        nonlocal again
        if not received:
            again = time.monotonic() + SAME_S
            loop.call_later(SAME_S, restore)
            task.cancel()
        received.append(number)

    def restore() -> None:
        for number in codes:
            loop.remove_signal_handler(number)

    for number in codes:
        loop.add_signal_handler(number, stop, number)
    try:
        result = await task
    except asyncio.CancelledError:
        if not received:
            raise
        return codes[received[0]]
    finally:
        restore()
        if time.monotonic() < again:  # the process ends now, with its own status
            for number in codes:
                signal.signal(number, signal.SIG_IGN)
    return codes[received[0]] if received else result or Exit.OK
