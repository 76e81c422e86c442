"""The line of pages."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from eagle_tui.canvas import brush_of
from eagle_tui.paint import Tone


class PagesLine(Widget):
    """The pages' names with their keys; a click goes to one."""

    class Picked(Message):
        """A page has been clicked."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, titles: Sequence[str], *, id: str) -> None:
        super().__init__(id=id)
        self._titles = titles
        self._current = 0

    def point_at(self, index: int) -> None:
        """Highlight a page."""
        self._current = index
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """The only line."""
        brush, base = brush_of(self), self.rich_style
        palette = brush.palette
        here = Style(color=palette.background, bgcolor=palette.tones[Tone.ACCENT], bold=True)
        segments = [Segment(" ", base)]
        for index, title in enumerate(self._titles):
            if index == self._current:
                segments.append(Segment(f" {index + 1} {title} ", base + here))
            else:
                segments.append(Segment(f" {index + 1}", base + brush.styles[Tone.ACCENT]))
                segments.append(Segment(f" {title} ", base + brush.styles[Tone.TEXT]))
        return Strip(segments).adjust_cell_length(self.size.width, base)

    def on_click(self, event: events.Click) -> None:
        """Find the name that was hit."""
        at = 1
        for index, title in enumerate(self._titles):
            end = at + len(title) + 4
            if at <= event.x < end:
                self.post_message(self.Picked(index))
            at = end
