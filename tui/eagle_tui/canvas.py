"""A widget that shows the lines of a view."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from eagle_tui.paint import EMPTY, Line, fit
from eagle_tui.palette import Brush, palette_of

View = Callable[[int, int], Sequence[Line]]
"""``(cells, rows)`` to lines; it may return fewer or more lines than rows."""


class Canvas(Widget):
    """Shows what its view returns for its size; `show_again` once the view's matter has changed.

    Only rows that have changed are drawn.
    """

    def __init__(
        self, view: View, *, title: str = "", id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._view = view
        self._lines: Sequence[Line] = ()
        self.border_title = title or None

    def show_again(self) -> None:
        """Ask the view, and draw the rows that differ."""
        if not self.display or not self.size.width:
            return
        old, self._lines = self._lines, self._view(self.size.width, self.size.height)
        if self.styles.is_auto_height and len(old) != len(self._lines):
            self.refresh(layout=True)
            return
        for y in range(self.size.height):
            if _at(old, y) != _at(self._lines, y):
                self.refresh(Region(0, y, self.size.width, 1))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Rows that the view needs, for ``height: auto``."""
        return len(self._view(width, viewport.height))

    def on_resize(self, _: events.Resize) -> None:
        """Another size is another view."""
        self._lines = self._view(self.size.width, self.size.height)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """The row ``y``."""
        return strip(fit(_at(self._lines, y), self.size.width), brush_of(self), self.rich_style)


def strip(of: Line, brush: Brush, base: Style) -> Strip:
    """``of`` in the colours of ``brush``, on ``base``."""
    return Strip([Segment(text, base + style) for text, style in brush.styled(of)])


def brush_of(widget: Widget) -> Brush:
    """The brush of the theme that is on."""
    theme = widget.app.current_theme
    if theme.name not in _BRUSHES:
        _BRUSHES[theme.name] = Brush(palette_of(theme))
    return _BRUSHES[theme.name]


_BRUSHES: dict[str, Brush] = {}
"""By theme name; a brush never changes."""


def _at(lines: Sequence[Line], y: int) -> Line:
    return lines[y] if y < len(lines) else EMPTY
