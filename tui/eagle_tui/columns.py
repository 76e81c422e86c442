"""The columns of a grid, and which of them a width has room for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from eagle_tui.paint import Line

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column(Generic[T]):
    """One column."""

    name: str
    title: str
    cells: int
    """Width, or the least of it when it grows."""
    cell: Callable[[T, int], Line]
    """A row's line for so many cells."""
    sort: Callable[[T], Any] | None = None
    """What rows are sorted by; None: they are not."""
    grows: int = 0
    """Its share of the room that is left."""
    most: int = 1000
    """It grows no wider."""
    right: bool = False
    """Numbers stand right; a first click sorts the largest up."""
    drop: int = 0
    """Columns with the largest are left out first when there is no room; 0: never."""


def arrange(columns: Sequence[Column[T]], cells: int) -> list[tuple[Column[T], int]]:
    """The columns that ``cells`` have room for, with their widths; one cell before, one between."""
    shown = list(columns)
    room = cells - 1
    while _needs(shown) > room and any(column.drop for column in shown):
        shown.remove(max(shown, key=lambda column: column.drop))
    widths = [column.cells for column in shown]
    left = room - _needs(shown)
    while left > 0:
        growing = [n for n, column in enumerate(shown) if column.grows and widths[n] < column.most]
        if not growing:
            break
        shares = sum(shown[n].grows for n in growing)
        for n in growing:
            extra = max(1, left * shown[n].grows // shares)
            extra = min(extra, shown[n].most - widths[n], left)
            widths[n] += extra
            left -= extra
            if not left:
                break
    return list(zip(shown, widths, strict=True))


def _needs(columns: Sequence[Column[T]]) -> int:
    return sum(column.cells + 1 for column in columns)
