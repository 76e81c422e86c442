"""A tracker on loopback, with a clock that tests turn."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from eagle_node.config.tree import TrackerConfig
from eagle_node.metrics.instruments import Metrics
from eagle_node.runtime.sockets import Address, bound_address, listen_tcp
from eagle_node.tracker.handlers import TrackerService


class RunningTracker:
    """A tracker that answers at ``url``; its time stands still unless ``now`` is set."""

    def __init__(self, listener: socket.socket, path: Path | None, interval_s: float) -> None:
        self.now = 0.0
        self.metrics = Metrics()
        self.url = f"http://{bound_address(listener)}"
        config = TrackerConfig(interval_s=interval_s)
        self.service = TrackerService(config, self.metrics, path, lambda: self.now)


@asynccontextmanager
async def tracker(
    path: Path | None = None, *, interval_s: float = 30.0, address: Address | None = None
) -> AsyncIterator[RunningTracker]:
    """A real server."""
    listener = listen_tcp(address or Address("127.0.0.1", 0), flag="--tracker-port")
    running = RunningTracker(listener, path, interval_s)
    async with running.service:
        runner = web.AppRunner(running.service.app())
        await runner.setup()
        try:
            await web.SockSite(runner, listener).start()
            yield running
        finally:
            await runner.cleanup()
