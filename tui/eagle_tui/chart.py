"""Area charts out of braille dots: two values and four steps in each cell."""

from __future__ import annotations

from collections.abc import Sequence

from eagle_tui.paint import Line, Tone, line

_LEFT = (0x40, 0x44, 0x46, 0x47)
"""Dots of a cell's left half, filled from its bottom (Unicode, block U+2800)."""
_RIGHT = (0x80, 0xA0, 0xB0, 0xB8)
_BLANK = 0x2800


def area(
    values: Sequence[float], tones: Sequence[Tone], *, cells: int, rows: int, top: float
) -> list[Line]:
    """``rows`` lines of ``cells`` cells, top first: the newest values at the right end.

    ``tones`` are those of the values; a cell has that of its second. ``top`` is the value that
    fills the height. A value above zero shows at least one dot.
    """
    recent, colours = list(values[-cells * 2 :]), list(tones[-cells * 2 :])
    missing = cells * 2 - len(recent)
    heights = [0] * missing + [_height(value, top, rows * 4) for value in recent]
    colours = [Tone.FAINT] * missing + colours
    return [
        line(*zip(_row(heights, rows - 1 - row), colours[1::2], strict=True)) for row in range(rows)
    ]


def nice_top(values: Sequence[float], *, least: float = 1024.0) -> float:
    """The scale's end for ``values``: the next 1, 2 or 5 times a power of 1024 above them.

    It moves in steps, so that a chart does not breathe with each value.
    """
    highest = max(values, default=0.0)
    unit = least
    while unit * 1000 < highest:
        unit *= 1024
    for step in (1, 2, 5, 10, 20, 50, 100, 200, 500):
        if unit * step >= highest:
            return unit * step
    return unit * 1024


def _height(value: float, top: float, dots: int) -> int:
    if value <= 0 or top <= 0:
        return 0
    return max(1, min(dots, round(value / top * dots)))


def _row(heights: Sequence[int], above: int) -> str:
    """The cells of the row that has ``above`` rows below it."""
    chars = []
    for left, right in zip(heights[::2], heights[1::2], strict=True):
        code = _BLANK
        if (dots := min(4, left - above * 4)) > 0:
            code |= _LEFT[dots - 1]
        if (dots := min(4, right - above * 4)) > 0:
            code |= _RIGHT[dots - 1]
        chars.append(chr(code))
    return "".join(chars)
