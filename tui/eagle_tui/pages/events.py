"""What happens at the node, and its log."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from eagle_node.api.schema import Event
from eagle_tui.formats import count
from eagle_tui.grid import Grid
from eagle_tui.pages.page import SearchPage
from eagle_tui.views import events
from eagle_tui.world import World


class EventsPage(SearchPage):
    """Newest at the bottom; it follows until somebody goes up."""

    TITLE: ClassVar[str] = "Events"
    PLACEHOLDER: ClassVar[str] = "search: words of the line, its kind, logger or request"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "follow", "Follow"),
        Binding("l", "level", "Level"),
    ]

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._least = "info"

    def compose(self) -> ComposeResult:
        """One table."""
        yield self.search_line()
        yield Grid[Event](
            events.columns(),
            key=lambda event: event.id or event.time + event.subject,
            nothing="nothing has happened yet",
            sorts=False,
            title="events",
            id="events-grid",
        )

    def on_mount(self) -> None:
        """Follow at first."""
        self._grid().follow = True

    def enter(self) -> None:
        """Keys act on events."""
        self._grid().focus()

    def show(self, world: World, now: float) -> None:
        """Show what is known."""
        text, grid = self.text, self._grid()
        found = [event for event in world.events if events.matches(event, text, self._least)]
        grid.show_rows(found)
        told = world.refused.get("events") or count(len(found), "line")
        state = "following" if grid.follow else "f follows"
        grid.border_subtitle = f"{told} · {self._least} and worse · {state}"

    def on_grid_moved(self, event: Grid.Moved) -> None:
        """Who looks at a line does not want it to run away."""
        last = event.grid.at_end
        if event.grid.follow and not last:
            event.grid.follow = False
            self.again()

    def on_grid_chosen(self, _: Grid.Chosen) -> None:
        """Enter, or a double click."""
        if (row := self._grid().current) is not None:
            self.tell("event", events.details(row))

    def action_follow(self) -> None:
        """Stay at the newest line, or no longer."""
        self._grid().follow = not self._grid().follow
        self.again()

    def action_level(self) -> None:
        """The next least severity."""
        at = events.LEVELS.index(self._least) + 1
        self._least = events.LEVELS[at % len(events.LEVELS)]
        self.again()

    def _grid(self) -> Grid[Event]:
        return self.query_one("#events-grid", Grid)
