"""A dashboard at a real control API, under a clock that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from eagle_tui.app import Dashboard
from eagle_tui.world import Link
from textual.pilot import Pilot

from eagle_node.api.client import ApiClient
from eagle_node.api.event_log import EventLog
from eagle_node.api.handlers import build_api
from eagle_node.metrics.instruments import Metrics
from tests.tui.fleet import Fleet, events

PATIENCE_S = 30.0


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Server:
    """The control API of a fleet, which can go away and come back at the same address."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self._minute = 0
        self.log = EventLog(clock=self._time)
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Listen."""
        app = build_api(self.fleet, Metrics(), events=self.log)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close the listener and every connection."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _time(self) -> str:
        self._minute += 1
        return f"2026-11-21T09:{self._minute // 60 % 60:02d}:{self._minute % 60:02d}.000Z"


@dataclass(slots=True, kw_only=True)
class Stage:
    """What a test holds in its hands."""

    app: Dashboard
    pilot: Pilot[None]
    server: Server
    clock: Clock
    fleet: Fleet = field(init=False)

    def __post_init__(self) -> None:
        self.fleet = self.server.fleet

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until the dashboard has come to know something, and shows it."""
        async with asyncio.timeout(PATIENCE_S):
            while not is_so():
                await self.pilot.pause(0.01)
        await self.shown()

    async def shown(self) -> None:
        """Show what is known, and wait until it is on the screen."""
        await self.pilot.pause()
        self.app.show()
        await self.pilot.pause()

    async def page(self, key: str) -> None:
        """Go to a page, and wait until the node has been asked for what it shows."""
        await self.pilot.press(key)
        await self.asked()

    async def asked(self) -> None:
        """Wait until the node has been asked anew for what is in sight, twice."""
        for _ in range(2):
            before = self.app.feed.turns
            self.app.feed.hurry()
            await self.until(lambda before=before: self.app.feed.turns > before)  # type: ignore[misc]

    async def press(self, *keys: str) -> None:
        """Press keys and let the screen follow."""
        await self.pilot.press(*keys)
        await self.shown()

    def text(self) -> str:
        """What is on the screen, line by line."""
        compositor = self.app.screen._compositor  # noqa: SLF001 - no public way to the cells
        return "\n".join(
            "".join(segment.text for segment in strip).rstrip()
            for strip in compositor.render_strips()
        )


@asynccontextmanager
async def stage(
    fleet: Fleet | None = None, *, size: tuple[int, int] = (80, 24), light: bool = False
) -> AsyncIterator[Stage]:
    """Run a dashboard whose first answer and events are there."""
    server, clock = Server(fleet or Fleet()), Clock()
    await server.start()
    for event in events(server.fleet):
        server.log.publish(event)
    try:
        async with ApiClient(server.url) as api:
            app = Dashboard(api, clock=clock, time_of_day=lambda: "09:30:00", light=light)
            async with app.run_test(size=size, notifications=True) as pilot:
                ready = Stage(app=app, pilot=pilot, server=server, clock=clock)
                await ready.until(lambda: bool(app.world.events) and app.feed.turns > 0)
                await ready.asked()
                assert app.world.link(clock()) is Link.LIVE
                yield ready
    finally:
        await server.stop()
