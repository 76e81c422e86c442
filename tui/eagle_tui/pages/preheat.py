"""Jobs that bring images to nodes."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from eagle_node.api.schema import PreheatJob
from eagle_tui.canvas import Canvas
from eagle_tui.dialogs import Ask, Confirm
from eagle_tui.formats import count
from eagle_tui.grid import Grid
from eagle_tui.pages.page import Page
from eagle_tui.paint import Line
from eagle_tui.views import preheat
from eagle_tui.world import World


class PreheatPage(Page):
    """The jobs, and below them the nodes of the one under the cursor."""

    TITLE: ClassVar[str] = "Preheat"
    DOCUMENTS: ClassVar[tuple[str, ...]] = ("jobs",)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "new", "New job"),
        Binding("x", "cancel", "Cancel"),
    ]

    def compose(self) -> ComposeResult:
        """All of them, then one."""
        yield Grid[PreheatJob](
            preheat.columns(),
            key=lambda job: str(job.id),
            nothing="no jobs yet: press n",
            title="preheat jobs",
            id="jobs",
        )
        yield Canvas(self._detail, title="nodes", id="job", classes="panel")

    def enter(self) -> None:
        """Keys act on jobs."""
        self._grid().focus()

    def show(self, world: World, now: float) -> None:
        """Show what is known."""
        grid = self._grid()
        grid.show_rows(world.jobs)
        grid.border_subtitle = world.refused.get("jobs") or count(len(world.jobs), "job")
        self.query_one("#job", Canvas).show_again()

    def on_grid_moved(self, _: Grid.Moved) -> None:
        """The nodes are those of the row."""
        self.query_one("#job", Canvas).show_again()

    def on_grid_chosen(self, _: Grid.Chosen) -> None:
        """Enter, or a double click."""
        if (row := self._grid().current) is not None:
            self.tell("preheat job", preheat.details(row, self.dashboard.world))

    def action_new(self) -> None:
        """Ask what to bring where."""
        fields = (
            ("image", "", "docker.io/library/nginx:latest"),
            ("nodes", "all", "all, seeders, zone=eu-1 or 20%"),
            ("platform", "", "linux/amd64, or all; empty: that of this node"),
        )
        note = "Nodes fetch the image's blobs into their caches, before anybody pulls it."
        screen = Ask("New preheat job", fields, note=note, yes="Start")
        self.ask(screen, self._start, "start preheat job")

    def action_cancel(self) -> None:
        """Go on with it no longer, once that is confirmed."""
        job = self._grid().current
        if job is None or job.state in preheat.ENDED:
            return
        number = job.id
        question = Confirm(
            "Cancel this job?",
            f"{job.image}\nWhat nodes have of it by now they keep.",
            yes="Cancel the job",
        )

        async def cancel(_: bool) -> None:
            await self.dashboard.api.cancel_preheat(number)
            self.dashboard.feed.hurry()

        self.ask(question, cancel, "cancel preheat job")

    def _grid(self) -> Grid[PreheatJob]:
        return self.query_one("#jobs", Grid)

    def _detail(self, cells: int, rows: int) -> list[Line]:
        return list(preheat.detail(self._grid().current, self.dashboard.world, cells, rows))

    async def _start(self, answers: tuple[str, ...]) -> None:
        image, nodes, platform = answers
        if not image:
            self.app.notify("an image is needed, such as nginx:latest", severity="warning")
            return
        job = await self.dashboard.api.preheat(image, nodes=nodes or "all", platform=platform)
        self.app.notify(f"job {job.id} brings {job.image} to {job.nodes}")
        self.dashboard.feed.hurry()
