"""What happens, line by line."""

from __future__ import annotations

from eagle_node.api.schema import Event
from eagle_tui.columns import Column
from eagle_tui.formats import with_short_names
from eagle_tui.paint import Line, Span, Tone, line

LEVELS = ("debug", "info", "warning", "error")
"""Least severe first; ``l`` steps through them."""
_LEVEL_TONES = {
    "debug": Tone.MUTED,
    "info": Tone.TEXT,
    "warning": Tone.WARN,
    "error": Tone.BAD,
    "critical": Tone.BAD,
}
_LEVEL_GLYPHS = {"debug": "·", "info": "·", "warning": "▲", "error": "✖", "critical": "✖"}
_KINDS: dict[str, Span] = {
    "gap": ("≀", Tone.WARN),
    "transfer-started": ("↓", Tone.SWARM),
    "transfer-finished": ("✔", Tone.GOOD),
    "transfer-failed": ("✖", Tone.BAD),
    "blob-added": ("+", Tone.LOCAL),
    "blob-evicted": ("−", Tone.MUTED),
    "blob-changed": ("⚑", Tone.ACCENT),
    "member-joined": ("●", Tone.GOOD),
    "member-suspect": ("◐", Tone.WARN),
    "member-changed": ("○", Tone.ACCENT),
    "member-gone": ("✖", Tone.BAD),
    "leader-changed": ("★", Tone.ACCENT),
    "lease-moved": ("⇄", Tone.ACCENT),
    "preheat-changed": ("♨", Tone.ACCENT),
    "setting-changed": ("✎", Tone.ACCENT),
}


def columns() -> list[Column[Event]]:
    """Of the table."""
    return [
        Column(name="time", title="UTC", cells=8, cell=_time),
        Column(name="glyph", title="", cells=1, cell=lambda event, _: line(glyph(event))),
        Column(name="kind", title="kind", cells=17, cell=_kind, drop=1),
        Column(name="text", title="what", cells=20, grows=1, cell=_text),
    ]


def level_of(event: Event) -> str:
    """Severity; events that are no log lines are told of by what they mean."""
    if event.log is not None:
        return event.log.level
    if event.kind in ("transfer-failed", "member-gone"):
        return "error"
    return "warning" if event.kind in ("member-suspect", "gap") else "info"


def matches(event: Event, text: str, least: str) -> bool:
    """Whether it is at least as severe as ``least``, and holds all words of ``text``."""
    level = level_of(event)
    if level in LEVELS and LEVELS.index(level) < LEVELS.index(least):
        return False
    told = f"{event.kind} {event.subject} {event.text}"
    if event.log is not None:
        told += f" {event.log.logger} {event.log.request} {event.log.level}"
    told = told.lower()
    return all(word in told for word in text.lower().split())


def glyph(event: Event) -> Span:
    """One character for its kind or its severity."""
    if event.log is not None:
        level = event.log.level
        return _LEVEL_GLYPHS.get(level, "·"), _LEVEL_TONES.get(level, Tone.TEXT)
    return _KINDS.get(event.kind, ("·", Tone.MUTED))


def brief(event: Event) -> Line:
    """One line of it for the first page."""
    return line(
        (event.time[11:19] + " ", Tone.MUTED),
        glyph(event),
        (" " + with_short_names(event.text), Tone.TEXT),
    )


def details(event: Event) -> list[tuple[str, str]]:
    """All that is known of one."""
    told = [("time (UTC)", event.time.replace("T", " ").rstrip("Z")), ("kind", event.kind)]
    if event.log is not None:
        told += [("level", event.log.level), ("logger", event.log.logger)]
        told += [("request", event.log.request)] if event.log.request else []
    elif event.subject:
        told.append(("about", event.subject))
    return [*told, ("what", event.text)]


def _time(event: Event, _: int) -> Line:
    return line((event.time[11:19], Tone.MUTED))


def _kind(event: Event, cells: int) -> Line:
    if event.log is not None:
        return line((event.log.logger.removeprefix("eagle_node.")[:cells], Tone.MUTED))
    return line((event.kind, Tone.MUTED))


def _text(event: Event, _: int) -> Line:
    tone, text = _LEVEL_TONES.get(level_of(event), Tone.TEXT), with_short_names(event.text)
    if event.log is not None and event.log.request:
        return line((f"[{event.log.request}] ", Tone.MUTED), (text, tone))
    return line((text, tone))
