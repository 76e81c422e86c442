"""The cluster's members, leader and leases."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal

from eagle_node.api.schema import Member
from eagle_tui.canvas import Canvas
from eagle_tui.formats import count
from eagle_tui.grid import Grid, Order
from eagle_tui.pages.page import SearchPage
from eagle_tui.paint import Line
from eagle_tui.views import cluster
from eagle_tui.world import World


class ClusterPage(SearchPage):
    """The summary above the members, with the leases beside them where there is room."""

    TITLE: ClassVar[str] = "Cluster"
    PLACEHOLDER: ClassVar[str] = "search: part of a node's name, address, state, role or zone"

    def compose(self) -> ComposeResult:
        """The whole first, then one by one."""
        yield Canvas(self._summary, title="cluster", id="summary", classes="panel")
        yield self.search_line()
        with Horizontal(id="members-row"):
            yield Grid[Member](
                (),
                key=lambda member: member.id,
                order=Order(column="state"),
                nothing="no member is like that",
                title="members",
                id="members",
            )
            yield Canvas(self._leases, title="leases", id="leases", classes="panel")

    def enter(self) -> None:
        """Keys act on members."""
        self._grid().focus()

    def show(self, world: World, now: float) -> None:
        """Show what is known."""
        members = world.status.cluster.members if world.status is not None else ()
        text = self.text
        found = [member for member in members if cluster.matches(member, text)] if text else members
        grid = self._grid()
        grid.use_columns(cluster.columns(world, now))
        grid.show_rows(found)
        told = count(len(members), "member")
        grid.border_subtitle = f"{len(found):,} of {told}" if text else f"{cluster.LEGEND} · {told}"
        for canvas in self.query(Canvas):
            canvas.show_again()

    def on_grid_chosen(self, _: Grid.Chosen) -> None:
        """Enter, or a double click."""
        if (row := self._grid().current) is not None:
            self.tell("member", cluster.details(row, self.dashboard.world, self.dashboard.now()))

    def _grid(self) -> Grid[Member]:
        return self.query_one("#members", Grid)

    def _summary(self, cells: int, rows: int) -> list[Line]:
        world = self.dashboard.world
        lines = list(cluster.summary(world, cells))
        if not self.query_one("#leases").display and world.status is not None:
            lines.append(cluster.leases_line(world, cells))
        return lines

    def _leases(self, cells: int, rows: int) -> list[Line]:
        return list(cluster.leases(self.dashboard.world, self.dashboard.now(), cells, rows))
