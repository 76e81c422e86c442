"""Named background tasks whose failures are never lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Self, TypeVar

T = TypeVar("T")

log = logging.getLogger(__name__)


class TaskSet:
    """Background tasks that belong to one owner: named, logged when they fail, cancelled together.

    Unlike `asyncio.TaskGroup`, one failure does not end the others: the owner serves many
    independent jobs.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cancel()

    def spawn(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Start ``work``; an exception that it raises is logged with its name."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    async def cancel(self) -> None:
        """Cancel every task and wait until all have ended."""
        while self._tasks:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._tasks.difference_update(tasks)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("background task %s failed", task.get_name(), exc_info=error)


async def finish(work: Coroutine[Any, Any, T], *, name: str) -> T:
    """The result of ``work``; a caller that is cancelled waits until it has ended."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    try:
        return await outlast(task)
    except asyncio.CancelledError:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.info("%s failed after it had been given up: %s", name, error)
        raise


async def outlast(running: asyncio.Future[T]) -> T:
    """The result of what is under way; a caller that is cancelled waits until it has ended."""
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        if not running.cancelled():
            running.exception()
        raise


@asynccontextmanager
async def under_way(work: Coroutine[Any, Any, T], *, name: str) -> AsyncIterator[asyncio.Task[T]]:
    """``work`` as a task, for who has something to do meanwhile; leaving the block cancels it.

    What it raises is for who awaits the task.
    """
    task = asyncio.get_running_loop().create_task(work, name=name)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first leaf of an exception group."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
