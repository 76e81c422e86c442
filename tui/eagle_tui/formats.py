"""Numbers as people read them. An absent value is a dash."""

from __future__ import annotations

from eagle_node.base.sizes import format_size

DASH = "–"


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
