"""One piece of work for all who ask for the same thing at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SingleFlight(Generic[K, V]):
    """Runs work once per key while it is under way; all callers get its result or its error.

    A caller that is cancelled leaves the others unharmed; the last one takes the work with it.
    Nothing is remembered once the work has ended.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._flights: dict[K, asyncio.Task[V]] = {}
        self._waiting: dict[asyncio.Task[V], int] = {}

    async def run(self, key: K, work: Callable[[], Awaitable[V]]) -> V:
        """The result of ``work()``, started here unless it is under way for ``key`` already."""
        flight = self._flights.get(key)
        if flight is None:
            loop = asyncio.get_running_loop()
            flight = loop.create_task(self._fly(key, work), name=self._name)
            self._flights[key] = flight
            self._waiting[flight] = 0
        self._waiting[flight] += 1
        try:
            return await asyncio.shield(flight)
        finally:
            self._waiting[flight] -= 1
            if not self._waiting[flight]:
                del self._waiting[flight]
                self._forget(key, flight)
                flight.cancel()

    async def _fly(self, key: K, work: Callable[[], Awaitable[V]]) -> V:
        flight = asyncio.current_task()
        try:
            return await work()
        finally:
            if self._flights.get(key) is flight:
                del self._flights[key]

    def _forget(self, key: K, flight: asyncio.Task[V]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
