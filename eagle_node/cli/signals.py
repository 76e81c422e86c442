"""Work that signals stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

from eagle_node.cli.exits import Exit


async def until_signal(work: Coroutine[Any, Any, Exit | None], *, on_sigterm: Exit) -> Exit:
    """Run ``work``, cancelled by the first SIGTERM or SIGINT; its exit code, or the signal's.

    SIGTERM ends what runs for ever as meant (``on_sigterm`` is OK), and breaks off other work.

    After the first signal the default handlers are back, so that a second one ends the process.
    """
    codes = {signal.SIGTERM: on_sigterm, signal.SIGINT: Exit.INTERRUPTED}
    loop = asyncio.get_running_loop()
    task = loop.create_task(work, name="work")
    received: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        received.append(number)
        for each in codes:
            loop.remove_signal_handler(each)
        task.cancel()

    for number in codes:
        loop.add_signal_handler(number, stop, number)
    try:
        result = await task
    except asyncio.CancelledError:
        if not received:
            raise
        return codes[received[0]]
    finally:
        for number in codes:
            loop.remove_signal_handler(number)
    return codes[received[0]] if received else result or Exit.OK
