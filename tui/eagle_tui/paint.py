"""Text with tones: what views make and widgets draw."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from rich.cells import cell_len, set_cell_size


class Tone(enum.Enum):
    """What a piece of text means; a palette gives each its colour."""

    TEXT = enum.auto()
    STRONG = enum.auto()
    MUTED = enum.auto()
    """Labels and units."""
    FAINT = enum.auto()
    """Rules and the empty part of bars: never text to be read."""
    ACCENT = enum.auto()
    GOOD = enum.auto()
    WARN = enum.auto()
    BAD = enum.auto()
    LOCAL = enum.auto()
    """Bytes from the cache."""
    SWARM = enum.auto()
    """Bytes from or to other nodes."""
    ORIGIN = enum.auto()
    """Bytes from registries."""


Span: TypeAlias = tuple[str, Tone]
Line: TypeAlias = tuple[Span, ...]
"""One row of cells; no newlines, tabs or control characters."""

EMPTY: Line = ()
ELLIPSIS = "…"
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def line(*parts: Span | str) -> Line:
    """A line of spans; a bare string has the tone of text. Control characters become ``·``."""
    spans = ((part, Tone.TEXT) if isinstance(part, str) else part for part in parts)
    return tuple((_clean(text), tone) for text, tone in spans if text)


def join(lines: Iterable[Line], gap: str = "  ") -> Line:
    """The lines that are not empty, beside each other."""
    joined: list[Span] = []
    for each in lines:
        if each and joined:
            joined.append((gap, Tone.TEXT))
        joined.extend(each)
    return tuple(joined)


def width(of: Line) -> int:
    """Cells that it takes."""
    return sum(cell_len(text) for text, _ in of)


def fit(of: Line, cells: int, *, right: bool = False) -> Line:
    """Exactly ``cells`` cells: padded (on the left if ``right``), or cut with an ellipsis."""
    used = width(of)
    if used <= cells:
        pad: Span = (" " * (cells - used), Tone.TEXT)
        return (pad, *of) if right else (*of, pad)
    kept: list[Span] = []
    room = cells - 1
    for text, tone in of:
        size = cell_len(text)
        if size > room:
            kept.append((set_cell_size(text, room) if room > 0 else "", tone))
            kept.append((ELLIPSIS, Tone.MUTED))
            break
        kept.append((text, tone))
        room -= size
    return tuple(kept) if cells > 0 else EMPTY


def spread(left: Line, right: Line, cells: int) -> Line:
    """``left`` and ``right`` at the ends of ``cells`` cells; ``left`` is cut where they meet."""
    if not right:
        return fit(left, cells)
    room = cells - width(right) - 1
    if room <= 0:
        return fit(right, cells)
    return (*fit(left, room), (" ", Tone.TEXT), *right)


def middle(text: str, cells: int) -> str:
    """``text`` in at most ``cells`` cells, its middle left out: both ends tell names apart."""
    if cell_len(text) <= cells:
        return text
    if cells < 5:
        return set_cell_size(text, max(0, cells - 1)) + ELLIPSIS[: max(0, cells)]
    head = (cells - 1) // 2
    tail = cells - 1 - head
    return text[:head] + ELLIPSIS + text[-tail:]


def bar(fraction: float, cells: int, tone: Tone) -> Line:
    """A horizontal bar filled to ``fraction``, in eighths of a cell."""
    eighths = round(min(max(fraction, 0.0), 1.0) * cells * 8)
    if fraction > 0:
        eighths = max(eighths, 1)
    full, rest = divmod(eighths, 8)
    filled = "█" * full + (_EIGHTHS[rest] if rest else "")
    return line((filled, tone), ("·" * (cells - len(filled)), Tone.FAINT))


def progress(fraction: float, cells: int, tone: Tone) -> Line:
    """A slim bar for rows of a table, in halves of a cell."""
    halves = round(min(max(fraction, 0.0), 1.0) * cells * 2)
    filled = "━" * (halves // 2) + ("╸" if halves % 2 else "")
    return line((filled, tone), ("─" * (cells - len(filled)), Tone.FAINT))


def stacked(parts: Sequence[tuple[int, Tone, str]], cells: int) -> Line:
    """A bar of ``(amount, tone, glyph)`` side by side; each amount above zero has a cell.

    The glyph tells the parts apart where colours do not.
    """
    total = sum(amount for amount, _, _ in parts)
    if total <= 0 or cells <= 0:
        return line(("·" * max(cells, 0), Tone.FAINT))
    shares = [max(1, round(amount / total * cells)) if amount else 0 for amount, _, _ in parts]
    while sum(shares) > cells and max(shares) > 1:
        shares[shares.index(max(shares))] -= 1
    if sum(shares) < cells:
        shares[shares.index(max(shares))] += cells - sum(shares)
    return line(*((glyph * n, tone) for (_, tone, glyph), n in zip(parts, shares, strict=True)))


def plain(lines: Iterable[Line]) -> str:
    """The text alone."""
    return "\n".join("".join(text for text, _ in each).rstrip() for each in lines)


def _clean(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "·" for char in text)
