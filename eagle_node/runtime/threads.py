"""Work in threads that outlives no resource of its caller."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from eagle_node.runtime.tasks import outlast

P = ParamSpec("P")
T = TypeVar("T")


async def finish_in_thread(work: Callable[P, T], /, *arguments: P.args, **named: P.kwargs) -> T:
    """Like `asyncio.to_thread`, but a caller that is cancelled waits until the thread is done.

    For work on what the caller closes or deletes next: a thread that goes on with the number of a
    closed descriptor writes into whatever file has got that number since.
    """
    loop = asyncio.get_running_loop()
    running = loop.run_in_executor(None, partial(work, *arguments, **named))
    return await outlast(running)
