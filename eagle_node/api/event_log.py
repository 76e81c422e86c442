"""What has happened at a node of late, for those who listen and those who come back. No IO.

The newest events are kept in a ring. A listener that was away names the last event it had and gets
those that followed, or a ``gap`` when they are no longer all here; one that does not keep up gets
a gap as well, rather than hold up the node.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from eagle_node.api.schema import Event

KEPT = 2048
"""Events in the ring: some minutes of a busy node."""
BACKLOG = KEPT
"""Events that may wait for one listener."""


def wall_clock() -> str:
    """RFC 3339 in UTC, with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Subscription:
    """One listener's events.

    Invariant: those that wait are at most `BACKLOG`.
    """

    def __init__(self, gap: Callable[[], Event]) -> None:
        self._gap = gap
        self._waiting: deque[Event] = deque()
        self._woken = asyncio.Event()
        self._closed = False

    def put(self, event: Event) -> None:
        """There is one more."""
        if len(self._waiting) >= BACKLOG:
            self._waiting.clear()
            event = self._gap()
        self._waiting.append(event)
        self._woken.set()

    def close(self) -> None:
        """There will be no more."""
        self._closed = True
        self._woken.set()

    async def next(self, patience_s: float) -> Event | None:
        """The next event; None when none came in time.

        `asyncio.CancelledError` never means the end: `ended` does.
        """
        if not self._waiting and not self._closed:
            self._woken.clear()
            try:
                async with asyncio.timeout(patience_s):
                    await self._woken.wait()
            except TimeoutError:
                return None
        return self._waiting.popleft() if self._waiting else None

    @property
    def ended(self) -> bool:
        """Whether nothing waits and nothing will come."""
        return self._closed and not self._waiting


class EventLog:
    """Takes events and hands them to listeners; to be used in the event loop only."""

    def __init__(self, *, clock: Callable[[], str] = wall_clock) -> None:
        self._clock = clock
        self._boot = secrets.token_hex(4)
        """Tells this process's events from those of the one before it."""
        self._last = 0
        self._ring: deque[Event] = deque(maxlen=KEPT)
        self._subscriptions: set[Subscription] = set()
        self._closed = False

    @property
    def watched(self) -> bool:
        """Whether anybody listens."""
        return bool(self._subscriptions)

    def publish(self, event: Event, *, keep: bool = True) -> None:
        """Tell everybody of ``event``, whose ``id`` and ``time`` are filled in here.

        ``keep``: whoever comes back later gets it as well.
        """
        if keep:
            self._last += 1
        made = replace(event, id=self._id(self._last) if keep else "", time=self._clock())
        if keep:
            self._ring.append(made)
        for subscription in self._subscriptions:
            subscription.put(made)

    @contextmanager
    def subscribed(self, *, after: str = "", replay: bool = False) -> Iterator[Subscription]:
        """Events from here on; before them those after the one with the id ``after``.

        ``replay``: before them all that are kept, unless ``after`` says better.
        """
        subscription = Subscription(self._gap)
        for event in self._missed(after) if after else [*self._ring] if replay else ():
            subscription.put(event)
        if self._closed:
            subscription.close()
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def close(self) -> None:
        """Let all listeners go."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.close()

    def _missed(self, after: str) -> list[Event]:
        boot, _, number = after.partition("-")
        oldest = self._last - len(self._ring)
        known = boot == self._boot and number.isascii() and number.isdigit()
        if not known or not oldest <= int(number) <= self._last:
            return [self._gap()]
        return list(self._ring)[int(number) - oldest :]

    def _gap(self) -> Event:
        return Event(
            id=self._id(self._last),
            time=self._clock(),
            kind="gap",
            subject="",
            text="some events were missed",
        )

    def _id(self, number: int) -> str:
        return f"{self._boot}-{number}"
