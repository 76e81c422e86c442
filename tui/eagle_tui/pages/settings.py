"""Limits and levels, to be changed while the node runs."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from eagle_node.api.schema import Setting
from eagle_tui.dialogs import Ask
from eagle_tui.formats import count
from eagle_tui.grid import Grid
from eagle_tui.pages.page import Page
from eagle_tui.views import settings
from eagle_tui.world import World


class SettingsPage(Page):
    """One table; Enter changes a row."""

    TITLE: ClassVar[str] = "Settings"
    DOCUMENTS: ClassVar[tuple[str, ...]] = ("settings",)
    BINDINGS: ClassVar[list[BindingType]] = [Binding("c", "change", "Change")]

    def compose(self) -> ComposeResult:
        """One table."""
        yield Grid[Setting](
            settings.columns(),
            key=lambda setting: setting.key,
            nothing="this node tells no settings",
            title="settings",
            id="settings-grid",
        )

    def enter(self) -> None:
        """Keys act on settings."""
        self._grid().focus()

    def show(self, world: World, now: float) -> None:
        """Show what is known."""
        grid = self._grid()
        grid.show_rows(world.settings)
        told = count(len(world.settings), "setting")
        grid.border_subtitle = world.refused.get("settings") or told

    def on_grid_chosen(self, _: Grid.Chosen) -> None:
        """Enter, or a double click."""
        self.action_change()

    def action_change(self) -> None:
        """Ask for the new value."""
        setting = self._grid().current
        if setting is None:
            return
        if not setting.changeable:
            self.app.notify(f"{setting.key} cannot be changed while the node runs")
            return
        key = setting.key
        fields = ((setting.help, setting.value, "empty: the default"),)
        screen = Ask(f"Change {key}", fields, note=settings.consequence(setting), yes="Change")

        async def change(answers: tuple[str, ...]) -> None:
            changed = await self.dashboard.api.change(key, answers[0])
            self.dashboard.world.settings = changed.settings
            value = next((each.value for each in changed.settings if each.key == key), "")
            self.app.notify(f"{key} is {value or 'the default'}")
            self.again()

        self.ask(screen, change, f"change {key}")

    def _grid(self) -> Grid[Setting]:
        return self.query_one("#settings-grid", Grid)
