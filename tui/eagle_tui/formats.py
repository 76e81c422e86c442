"""Numbers as people read them. An absent value is a dash."""

from __future__ import annotations

import re

from eagle_node.base.sizes import format_size
from eagle_tui.paint import ELLIPSIS, middle

DASH = "–"
_MADE_ID = re.compile(r"[0-9a-f]{32}\Z")
"""Of a node whose name nobody has chosen."""
_ANY_ID = re.compile(r"(?<![0-9a-f:])([0-9a-f]{8})[0-9a-f]{24}(?![0-9a-f])")
_PINNED = re.compile(r"@sha256:([0-9a-f]{12})[0-9a-f]{52}\Z")
_DIGEST = re.compile(r"\bsha256:([0-9a-f]{12})[0-9a-f]{52}\b")


def size(count: int | None) -> str:
    """``48.1 MiB``."""
    return DASH if count is None else format_size(count)


def rate(per_second: float | None) -> str:
    """``12.3 MiB/s``; a dash for none."""
    return DASH if not per_second else f"{format_size(round(per_second))}/s"


def percent(fraction: float | None) -> str:
    """``67 %``; 100 % and 0 % are told of the very ends only."""
    if fraction is None:
        return DASH
    if 0 < fraction < 1:
        return f"{min(99, max(1, round(fraction * 100)))} %"
    return f"{round(fraction * 100)} %"


def span(seconds: float | None) -> str:
    """``42 s``, ``3 min 5 s``, ``2 h 10 min``, ``5 d 3 h``: the two largest units."""
    if seconds is None:
        return DASH
    whole = max(0, int(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = ((days, "d"), (hours, "h"), (minutes, "min"), (rest, "s"))
    shown = [f"{count} {unit}" for count, unit in units if count]
    return " ".join(shown[:2]) or "0 s"


def roughly(seconds: float | None) -> str:
    """What a guess is worth, in one unit: ``42 s``, ``8 min``, ``3 h``, ``5 d``."""
    if seconds is None:
        return DASH
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{round(seconds / size):,} {unit}"
    return f"{max(0, round(seconds))} s"


def ago(seconds: float | None) -> str:
    """``just now``, ``42 s ago``."""
    if seconds is None:
        return DASH
    return "just now" if seconds < 1.5 else f"{span(seconds)} ago"


def count(number: int, one: str, many: str | None = None) -> str:
    """``1 node``, ``1,000 nodes``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def short_digest(digest: str) -> str:
    """The first 12 hex digits, as the runtimes show them."""
    return digest.partition(":")[2][:12] or digest[:12]


def node_name(name: str, cells: int) -> str:
    """A node in at most ``cells`` cells; a made id is known by its beginning, as commits are."""
    if _MADE_ID.match(name) and cells < len(name):
        return name[: min(8, cells)]
    return middle(name, cells)


def image_name(image: str, cells: int) -> str:
    """An image in at most ``cells`` cells; what goes first is said first: registry, then paths."""
    image = _PINNED.sub(rf"@\1{ELLIPSIS}", image)
    if len(image) <= cells:
        return image
    parts = image.split("/")
    for first in range(1, len(parts)):
        shorter = "/".join((ELLIPSIS, *parts[first:]))
        if len(shorter) <= cells:
            return shorter
    return middle(parts[-1], cells)


def with_short_names(text: str) -> str:
    """``text`` with the beginning of each digest and made id: there is more to be read."""
    return _ANY_ID.sub(r"\1", _DIGEST.sub(rf"\1{ELLIPSIS}", text))


def limit(value: str) -> str:
    """A rate limit as a setting has it: ``50MB`` as it is, bytes as a size."""
    return f"{format_size(int(value))}/s" if value.isdecimal() else value
