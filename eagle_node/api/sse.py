"""Server-sent events (WHATWG HTML, section 9.2): text of an event, and events of a text. No IO."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

CONTENT_TYPE = "text/event-stream"
BEAT = b": beat\n\n"
"""A comment: tells that the connection lives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent:
    """One event as it travels."""

    id: str
    """Empty: the last one's stays in force."""
    kind: str
    data: str


def encode_event(event: ServerEvent) -> bytes:
    """``event`` as bytes; id and kind are one line each."""
    lines = [f"id: {event.id}"] if event.id else []
    lines.append(f"event: {event.kind}")
    lines += [f"data: {line}" for line in event.data.split("\n")]
    return ("\n".join(lines) + "\n\n").encode()


class EventParser:
    """Takes the bytes of a stream as they come, and tells the events that are whole."""

    def __init__(self) -> None:
        self._rest = b""
        self._id = ""
        self._kind = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """The events that ``chunk`` completes."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            event = self._line(line.removesuffix(b"\r").decode(errors="replace"))
            if event is not None:
                yield event

    def _line(self, line: str) -> ServerEvent | None:
        if not line:
            return self._end()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "id":
                self._id = value
            case "event":
                self._kind = value
            case "data":
                self._data.append(value)
        return None

    def _end(self) -> ServerEvent | None:
        made = None
        if self._data:
            data = "\n".join(self._data)
            made = ServerEvent(id=self._id, kind=self._kind or "message", data=data)
        self._id, self._kind, self._data = "", "", []
        return made
