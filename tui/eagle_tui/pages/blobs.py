"""The cache's blobs, and what can be done to them."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from eagle_node.api.schema import BlobRow
from eagle_tui.dialogs import Confirm
from eagle_tui.formats import short_digest, size
from eagle_tui.grid import Grid
from eagle_tui.pages.page import SearchPage
from eagle_tui.views import blobs
from eagle_tui.world import World

SORTS = {"image": "image", "digest": "digest", "size": "size"}
"""The node's name of a column's order; the others are by recency."""


class BlobsPage(SearchPage):
    """The node searches and sorts, as it knows all blobs."""

    TITLE: ClassVar[str] = "Blobs"
    DOCUMENTS: ClassVar[tuple[str, ...]] = ("blobs",)
    PLACEHOLDER: ClassVar[str] = "search: part of an image's name or of a digest"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "pin", "Pin"),
        Binding("e", "evict", "Evict"),
        Binding("v", "verify", "Verify"),
        Binding("y", "copy", "Copy digest"),
    ]

    def compose(self) -> ComposeResult:
        """One table."""
        yield self.search_line()
        yield Grid[BlobRow](
            blobs.columns(),
            key=lambda row: row.digest,
            nothing="the cache holds no blobs",
            sorts=False,
            title="blobs",
            id="blobs-grid",
        )

    def enter(self) -> None:
        """Keys act on blobs."""
        self._grid().focus()

    def show(self, world: World, now: float) -> None:
        """Show what is known."""
        grid = self._grid()
        grid.nothing = "the cache holds no such blob" if self.text else "the cache holds no blobs"
        grid.show_rows(world.blobs.blobs)
        grid.border_subtitle = blobs.told(world, self.text)

    def searched(self) -> None:
        """The node searches."""
        self.dashboard.feed.blob_text = self.text
        self.dashboard.feed.hurry()

    def on_grid_ordered(self, event: Grid.Ordered) -> None:
        """The node sorts."""
        order = event.grid.order
        sort = SORTS.get(order.column, "recency")
        self.dashboard.feed.blob_sort = f"-{sort}" if order.down else sort
        self.dashboard.feed.hurry()

    def on_grid_chosen(self, _: Grid.Chosen) -> None:
        """Enter, or a double click."""
        if (row := self._grid().current) is not None:
            self.tell("blob", blobs.details(row))

    def action_pin(self) -> None:
        """Keep it whatever comes, or no longer."""
        if (row := self._grid().current) is not None:
            action = "unpin" if row.pinned else "pin"
            self.dashboard.work(self._act(row.digest, action), f"{action} blob")

    def action_verify(self) -> None:
        """Read it and compare its digest."""
        if (row := self._grid().current) is not None:
            self.app.notify(f"reading {size(row.size)} of {short_digest(row.digest)}")
            self.dashboard.work(self._act(row.digest, "verify"), "verify blob")

    def action_evict(self) -> None:
        """Remove it, once that is confirmed."""
        if (row := self._grid().current) is None:
            return
        name = row.image or row.digest
        question = Confirm(
            "Evict this blob?",
            f"{name}\n{short_digest(row.digest)}, {size(row.size)}\n\n"
            "The next client that asks for it waits until other nodes or the registry have sent it"
            " again.",
            yes="Evict",
        )

        async def evict(_: bool) -> None:
            await self._act(row.digest, "evict")

        self.ask(question, evict, "evict blob")

    def action_copy(self) -> None:
        """To the clipboard of the terminal."""
        if (row := self._grid().current) is not None:
            self.dashboard.copy(row.digest)

    def _grid(self) -> Grid[BlobRow]:
        return self.query_one("#blobs-grid", Grid)

    async def _act(self, digest: str, action: str) -> None:
        done = await self.dashboard.api.act(digest, action)
        self.app.notify(done.text or f"{action}: done")
        self.dashboard.feed.hurry()
