"""A table that draws the rows in sight, however many there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from eagle_tui.canvas import brush_of
from eagle_tui.columns import Column, arrange
from eagle_tui.paint import EMPTY, Line, Tone, fit, line

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What rows are sorted by."""

    column: str
    """Name of a column; empty: as they came."""
    down: bool = False


class Grid(ScrollView, Generic[T], can_focus=True):
    """Rows of ``T`` under a line of headings, with a cursor that stays on its row.

    A row is known by its key. The rows are sorted by the column that a click on its heading, or
    ``o`` and ``O``, names. Columns that a narrow screen has no room for are left out.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup,ctrl+b", "move_pages(-1)", "Page up", show=False),
        Binding("pagedown,ctrl+f", "move_pages(1)", "Page down", show=False),
        Binding("home,g", "move_to_end(False)", "First", show=False),
        Binding("end,G", "move_to_end(True)", "Last", show=False),
        Binding("enter", "choose", "Details", show=False),
        Binding("o", "order_next", "Order"),
        Binding("O", "order_back", "Reverse order", show=False),
    ]

    class Moved(Message):
        """The cursor is on another row."""

        def __init__(self, grid: Grid[Any]) -> None:
            super().__init__()
            self.grid = grid

        @property
        def control(self) -> Grid[Any]:
            """The grid, for selectors."""
            return self.grid

    class Chosen(Moved):
        """Enter, or a double click, on a row."""

    class Ordered(Moved):
        """The rows shall be in another order."""

    def __init__(
        self,
        columns: Sequence[Column[T]],
        *,
        key: Callable[[T], str],
        order: Order | None = None,
        nothing: str = "nothing here",
        sorts: bool = True,
        title: str = "",
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self.columns = columns
        self.order = order or Order(column="")
        self.nothing = nothing
        """What an empty grid says."""
        self.follow = False
        """Whether the cursor stays on the last row as rows come."""
        self.border_title = title or None
        self._key = key
        self._sorts = sorts
        self._rows: Sequence[T] = ()
        self._cursor = 0
        self._drawn: dict[int, Line] = {}
        self._widths: list[tuple[Column[T], int]] = []

    @property
    def rows(self) -> Sequence[T]:
        """In the order that they are shown in."""
        return self._rows

    @property
    def current(self) -> T | None:
        """The row under the cursor."""
        return self._rows[self._cursor] if self._cursor < len(self._rows) else None

    @property
    def at_end(self) -> bool:
        """Whether the cursor is on the last row."""
        return self._cursor >= len(self._rows) - 1

    def use_columns(self, columns: Sequence[Column[T]]) -> None:
        """Draw rows with ``columns``, which have the names and widths of those before."""
        self.columns = columns
        self._widths = arrange(columns, self.size.width)

    def show_rows(self, rows: Sequence[T]) -> None:
        """Show ``rows`` instead; the cursor stays on its row's key."""
        before = self.current
        old = None if before is None else self._key(before)
        self._rows = self._ordered(rows)
        self._cursor = self._place_of(old)
        height = len(self._rows) + 1
        if self.virtual_size != Size(self.size.width, height):
            self.virtual_size = Size(self.size.width, height)
        if self.follow:
            self.scroll_end(animate=False, immediate=True)
        self._redraw_changed()
        now = None if self.current is None else self._key(self.current)
        if now != old:
            self.post_message(self.Moved(self))

    def go_to(self, key: str) -> bool:
        """Put the cursor on the row of ``key``; whether there is one."""
        for index, row in enumerate(self._rows):
            if self._key(row) == key:
                self._set_cursor(index)
                return True
        return False

    def action_move(self, rows: int) -> None:
        """Up or down."""
        self._set_cursor(self._cursor + rows)

    def action_move_pages(self, pages: int) -> None:
        """Up or down by what is in sight."""
        self._set_cursor(self._cursor + pages * max(1, self.size.height - 2))

    def action_move_to_end(self, last: bool) -> None:
        """To the first or the last row."""
        self._set_cursor(len(self._rows) - 1 if last else 0)

    def action_choose(self) -> None:
        """Open the row."""
        if self.current is not None:
            self.post_message(self.Chosen(self))

    def action_order_next(self) -> None:
        """Sort by the next column that can be sorted by."""
        names = [column.name for column, _ in self._widths if column.sort is not None]
        if not names:
            return
        at = names.index(self.order.column) + 1 if self.order.column in names else 0
        self._order(names[at % len(names)])

    def action_order_back(self) -> None:
        """Turn the order round."""
        if self.order.column:
            self._order(self.order.column)

    def on_click(self, event: events.Click) -> None:
        """A heading sorts; a row takes the cursor, and opens at the second click."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y == 0:
            self._click_heading(offset.x)
            return
        row = offset.y - 1 + self.scroll_offset.y
        if row < len(self._rows):
            self._set_cursor(row)
            if event.chain == 2:
                self.action_choose()

    def on_resize(self, _: events.Resize) -> None:
        """Arrange the columns anew."""
        self._widths = arrange(self.columns, self.size.width)
        self.virtual_size = Size(self.size.width, len(self._rows) + 1)
        self._keep_in_sight()
        self._drawn.clear()
        self.refresh()

    def on_focus(self) -> None:
        """The cursor gets brighter."""
        self._drawn.clear()
        self.refresh()

    on_blur = on_focus

    def render_line(self, y: int) -> Strip:
        """The row ``y`` of what is in sight; the headings stay on top."""
        brush, base = brush_of(self), self.rich_style
        made = self._drawn[y] = self._line(y)
        if y and y - 1 + self.scroll_offset.y == self._cursor and self._rows:
            base += brush.cursor
        return Strip([Segment(text, base + style) for text, style in brush.styled(made)])

    def _redraw_changed(self) -> None:
        if not self._widths:
            return
        for y in range(self.size.height):
            if self._drawn.get(y) != self._line(y):
                self.refresh(Region(0, y, self.size.width, 1))

    def _line(self, y: int) -> Line:
        cells = self.size.width
        if y == 0:
            return fit(self._headings(), cells)
        row = y - 1 + self.scroll_offset.y
        if row < len(self._rows):
            return fit(self._row(row), cells)
        if y == 2 and not self._rows:
            return fit(line(("  " + self.nothing, Tone.MUTED)), cells)
        return fit(EMPTY, cells)

    def _row(self, index: int) -> Line:
        row = self._rows[index]
        mark = ("▌" if self.has_focus else "▏") if index == self._cursor else " "
        parts = [(mark, Tone.ACCENT)]
        for column, cells in self._widths:
            parts.extend(fit(column.cell(row, cells), cells, right=column.right))
            parts.append((" ", Tone.TEXT))
        return tuple(parts)

    def _headings(self) -> Line:
        parts = [(" ", Tone.TEXT)]
        for column, cells in self._widths:
            title = line((column.title, Tone.MUTED))
            if self._sorts and column.name == self.order.column:
                title = line((column.title + ("▼" if self.order.down else "▲"), Tone.ACCENT))
            parts.extend(fit(title, cells, right=column.right))
            parts.append((" ", Tone.TEXT))
        return tuple(parts)

    def _click_heading(self, x: int) -> None:
        at = 1
        for column, cells in self._widths:
            if at <= x < at + cells and column.sort is not None:
                self._order(column.name)
            at += cells + 1

    def _order(self, column: str) -> None:
        down = not self.order.down if column == self.order.column else self._starts_down(column)
        self.order = Order(column=column, down=down)
        self.show_rows(self._rows)
        self.post_message(self.Ordered(self))

    def _starts_down(self, name: str) -> bool:
        return any(column.name == name and column.right for column in self.columns)

    def _ordered(self, rows: Sequence[T]) -> Sequence[T]:
        for column in self.columns:
            if self._sorts and column.name == self.order.column and column.sort is not None:
                return sorted(rows, key=column.sort, reverse=self.order.down)
        return rows

    def _place_of(self, key: str | None) -> int:
        last = max(0, len(self._rows) - 1)
        if self.follow or key is None:
            return last if self.follow else 0
        if self._cursor <= last and self._rows and self._key(self._rows[self._cursor]) == key:
            return self._cursor
        for index, row in enumerate(self._rows):
            if self._key(row) == key:
                return index
        return min(self._cursor, last)

    def _set_cursor(self, index: int) -> None:
        index = max(0, min(index, len(self._rows) - 1))
        if index == self._cursor:
            return
        old, self._cursor = self._cursor, index
        self._keep_in_sight()
        for row in (old, index):
            y = row + 1 - self.scroll_offset.y
            self.refresh(Region(0, y, self.size.width, 1))
        self.post_message(self.Moved(self))

    def _keep_in_sight(self) -> None:
        """Scroll as little as the cursor's row needs."""
        top, room = self.scroll_offset.y, self.size.height - 1
        if room < 1:
            return
        if self._cursor < top:
            self.scroll_to(y=self._cursor, animate=False)
        elif self._cursor >= top + room:
            self.scroll_to(y=self._cursor - room + 1, animate=False)
