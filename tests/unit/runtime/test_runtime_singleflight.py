"""Rules of `SingleFlight`."""

from __future__ import annotations

import asyncio

import pytest

from eagle_node.base.errors import Unavailable
from eagle_node.runtime.singleflight import SingleFlight


class Work:
    """Work that waits to be released and counts its runs."""

    def __init__(self, error: Exception | None = None) -> None:
        self.started = asyncio.Event()
        self.release = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.runs = 0
        self._error = error

    async def __call__(self) -> int:
        self.runs += 1
        self.started.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        if self._error is not None:
            raise self._error
        return self.runs


async def test_all_who_ask_at_the_same_time_get_one_result() -> None:
    """Work under way is joined; once it has ended, it is done anew."""
    flights: SingleFlight[str, int] = SingleFlight("test")
    work = Work()
    async with asyncio.TaskGroup() as group:
        callers = [group.create_task(flights.run("key", work)) for _ in range(3)]
        await work.started.wait()
        work.release.set()
    assert [caller.result() for caller in callers] == [1, 1, 1]
    assert await flights.run("key", work) == 2


async def test_other_keys_are_other_work() -> None:
    """Nothing is shared between keys."""
    flights: SingleFlight[str, int] = SingleFlight("test")
    work = Work()
    work.release.set()
    assert {await flights.run("one", work), await flights.run("two", work)} == {1, 2}


async def test_an_error_reaches_every_caller() -> None:
    """All callers see the failure, and it is not remembered."""
    flights: SingleFlight[str, int] = SingleFlight("test")
    work = Work(Unavailable("down"))
    callers = [asyncio.create_task(flights.run("key", work)) for _ in range(2)]
    await work.started.wait()
    work.release.set()
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert [str(result) for result in results] == ["down", "down"]
    with pytest.raises(Unavailable):
        await flights.run("key", work)
    assert work.runs == 2


async def test_a_cancelled_caller_leaves_the_others_their_result() -> None:
    """Work lives as long as somebody waits for it."""
    flights: SingleFlight[str, int] = SingleFlight("test")
    work = Work()
    first = asyncio.create_task(flights.run("key", work))
    second = asyncio.create_task(flights.run("key", work))
    await work.started.wait()
    first.cancel()
    await asyncio.wait([first])
    work.release.set()
    assert await second == 1


async def test_the_last_caller_takes_the_work_with_it() -> None:
    """Work that nobody waits for is cancelled, and a later caller starts anew."""
    flights: SingleFlight[str, int] = SingleFlight("test")
    work = Work()
    only = asyncio.create_task(flights.run("key", work))
    await work.started.wait()
    only.cancel()
    await work.cancelled.wait()
    work.release.set()
    assert await flights.run("key", work) == 2
