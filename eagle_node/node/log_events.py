"""Log lines as events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from eagle_node.api.event_log import EventLog
from eagle_node.api.schema import Event, LogLine
from eagle_node.runtime.context import request_id


class _Handler(logging.Handler):
    """Publishes what the process logs, from whichever thread."""

    def __init__(self, events: EventLog, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._events = events
        self._loop = loop

    def emit(self, record: logging.LogRecord) -> None:
        """Hand the line over to the loop; the last lines of a loop that has ended are left out."""
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            text = f"{text}: {type(error).__name__}: {error}"
        name = record.name.removeprefix("eagle_node.")
        line = LogLine(level=record.levelname.lower(), logger=name, request=request_id.get())
        event = Event(id="", time="", kind="log", subject=name, text=text, log=line)
        try:
            self._loop.call_soon_threadsafe(self._events.publish, event)
        except RuntimeError:
            return


@contextmanager
def log_events(events: EventLog) -> Iterator[None]:
    """While the block lasts, each line that is logged is an event as well."""
    handler = _Handler(events, asyncio.get_running_loop())
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
