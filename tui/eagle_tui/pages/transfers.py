"""What moves through this node."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from eagle_node.api.schema import TransferRow
from eagle_tui.canvas import Canvas
from eagle_tui.formats import count
from eagle_tui.grid import Grid
from eagle_tui.pages.page import SearchPage
from eagle_tui.paint import Line
from eagle_tui.views import transfers
from eagle_tui.world import World


class TransfersPage(SearchPage):
    """The table, and below it who feeds whom of the blob under the cursor."""

    TITLE: ClassVar[str] = "Transfers"
    DOCUMENTS: ClassVar[tuple[str, ...]] = ("transfers",)
    PLACEHOLDER: ClassVar[str] = "search: part of an image's name or of a digest"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("y", "copy", "Copy digest")]

    def compose(self) -> ComposeResult:
        """All of them, then one."""
        yield self.search_line()
        yield Grid[TransferRow](
            transfers.columns(fresh=True),
            key=lambda row: row.digest,
            nothing="nothing moves now",
            title="transfers",
            id="transfers-grid",
        )
        yield Canvas(self._tree, id="tree", classes="panel")

    def enter(self) -> None:
        """Keys act on transfers."""
        self.query_one("#transfers-grid").focus()

    def show(self, world: World, now: float) -> None:
        """Show what is known."""
        rows, text = world.transfers, self.text
        found = [row for row in rows if transfers.matches(row, text)] if text else rows
        grid = self._grid()
        grid.use_columns(transfers.columns(world.is_fresh(now)))
        grid.show_rows(found)
        told = world.refused.get("transfers") or count(len(rows), "transfer")
        grid.border_subtitle = f"{len(found):,} of {told}" if text else told
        self._show_tree()

    def on_grid_moved(self, _: Grid.Moved) -> None:
        """The tree is that of the row."""
        self._show_tree()

    def on_grid_chosen(self, _: Grid.Chosen) -> None:
        """Enter, or a double click."""
        if (row := self._grid().current) is not None:
            self.tell(
                "transfer", transfers.details(row, self.dashboard.world, self.dashboard.now())
            )

    def action_copy(self) -> None:
        """To the clipboard of the terminal."""
        if (row := self._grid().current) is not None:
            self.dashboard.copy(row.digest)

    def _grid(self) -> Grid[TransferRow]:
        return self.query_one("#transfers-grid", Grid)

    def _show_tree(self) -> None:
        tree = self.query_one("#tree", Canvas)
        tree.border_title = transfers.tree_title(self._grid().current, tree.size.width)
        tree.show_again()

    def _tree(self, cells: int, rows: int) -> list[Line]:
        world, now = self.dashboard.world, self.dashboard.now()
        return transfers.tree(self._grid().current, world, now, cells, rows)
