"""Asks the node, follows its events, and keeps the world up to date."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from time import monotonic

from eagle_node.api.client import ApiClient, Refused
from eagle_node.base.errors import EagleError
from eagle_tui.world import World

PERIOD_S = 1.0
"""Between questions."""
_SHARE = 9.0
"""Times as long as an answer took that the next question waits: a tenth of a processor at most,
here and, for equal work, at the node."""
_MOST_S = 5.0
"""Between questions, however slow the node is."""
_SELDOM = 5
"""Questions about the node between two about what seldom changes."""
_AGAIN_S = 10.0
"""Before a refused stream of events is asked for again."""


def time_of_day() -> str:
    """The local time, for people."""
    return datetime.now().astimezone().strftime("%H:%M:%S")


class Feed:
    """Two endless tasks, `poll` and `follow`, that tell ``changed`` after each change."""

    def __init__(
        self,
        api: ApiClient,
        world: World,
        *,
        changed: Callable[[], None],
        wanted: Callable[[], Sequence[str]],
        clock: Callable[[], float] = monotonic,
        time_of_day: Callable[[], str] = time_of_day,
    ) -> None:
        self._api = api
        self._world = world
        self._changed = changed
        self._wanted = wanted
        self._clock = clock
        self._time_of_day = time_of_day
        self._woken = asyncio.Event()
        self.turns = 0
        """Rounds of questions that are over."""
        self.blob_text = ""
        """What blobs are searched for."""
        self.blob_sort = "-recency"

    def hurry(self) -> None:
        """Ask at once, as somebody looks at something else or has changed something."""
        self._woken.set()

    async def poll(self) -> None:
        """Ask for the status, and for what the page in sight shows."""
        while True:
            begun = self._clock()
            every = self._woken.is_set() or self.turns % _SELDOM == 0
            self._woken.clear()
            pause_s = PERIOD_S
            if await self._ask_status():
                for document in self._wanted():
                    await self._ask(document, every=every)
                pause_s = min(_MOST_S, max(PERIOD_S, (self._clock() - begun) * _SHARE))
            self._changed()
            self.turns += 1
            try:
                async with asyncio.timeout(pause_s):
                    await self._woken.wait()
            except TimeoutError:
                pass

    async def follow(self) -> None:
        """Take in events, the last minutes' first."""
        while True:
            try:
                async for event in self._api.events(replay=True, state=self._connected):
                    self._world.refused.pop("events", None)
                    self._world.heard(event)
                    if event.kind == "gap":
                        self.hurry()
                    self._changed()
            except EagleError as error:
                self._world.refused["events"] = _told(error)
                self._changed()
            await asyncio.sleep(_AGAIN_S)

    def _connected(self, reason: str | None) -> None:
        """Events come again, or no more: either way the next answer tells more."""
        self.hurry()

    async def _ask_status(self) -> bool:
        """Whether the node has answered."""
        try:
            status, readiness = await self._api.status(), await self._api.ready()
        except EagleError as error:
            self._world.lost(_told(error), self._time_of_day())
            return False
        self._world.reached(status, readiness, self._clock())
        return True

    async def _ask(self, document: str, *, every: bool) -> None:
        asks: dict[str, Callable[[], Awaitable[None]]] = {
            "history": self._ask_history,
            "transfers": self._ask_transfers,
            "blobs": self._ask_blobs,
        }
        if every:
            asks |= {"jobs": self._ask_jobs, "settings": self._ask_settings}
        if document not in asks:
            return
        try:
            await asks[document]()
        except EagleError as error:
            self._world.refused[document] = _told(error)
        else:
            self._world.refused.pop(document, None)

    async def _ask_history(self) -> None:
        self._world.history = await self._api.history()

    async def _ask_transfers(self) -> None:
        self._world.transfers = (await self._api.transfers()).transfers

    async def _ask_blobs(self) -> None:
        self._world.blobs = await self._api.blobs(
            text=self.blob_text, sort=self.blob_sort, limit=500
        )

    async def _ask_jobs(self) -> None:
        self._world.jobs = (await self._api.preheat_jobs()).jobs

    async def _ask_settings(self) -> None:
        self._world.settings = (await self._api.settings()).settings


def _told(error: EagleError) -> str:
    """What the node has said, or why it says nothing."""
    if isinstance(error, Refused):
        return error.detail or f"answered {error.status}"
    return str(error)
