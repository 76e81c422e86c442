"""The first page: this node."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal

from eagle_tui.canvas import Canvas
from eagle_tui.pages.page import Page
from eagle_tui.paint import Line
from eagle_tui.views import events, node
from eagle_tui.world import World


class NodePage(Page, can_focus=True):
    """Savings, throughput, cache, facts, and what moves."""

    TITLE: ClassVar[str] = "Node"
    DOCUMENTS: ClassVar[tuple[str, ...]] = ("history", "transfers", "settings")

    def compose(self) -> ComposeResult:
        """From the answer to the details."""
        yield Canvas(self._saved, title="saved", id="saved", classes="panel")
        with Horizontal(id="charts"):
            yield Canvas(self._chart_in, title="in", id="in", classes="panel")
            yield Canvas(self._chart_out, title="out", id="out", classes="panel")
        with Horizontal(id="cards"):
            yield Canvas(self._cache, title="cache", id="cache", classes="panel")
            yield Canvas(self._facts, title="this node", id="facts", classes="panel")
        with Horizontal(id="lists"):
            yield Canvas(self._moving, title="moving", id="moving", classes="panel")
            yield Canvas(self._lately, title="lately", id="lately", classes="panel")

    def enter(self) -> None:
        """There is nothing to choose from."""
        self.focus()

    def show(self, world: World, now: float) -> None:
        """Show what is known."""
        for name, (rate, peak) in (
            ("in", node.rates_in(world, now)),
            ("out", node.rates_out(world, now)),
        ):
            chart = self.query_one(f"#{name}")
            chart.border_title, chart.border_subtitle = f"{name}  {rate}", peak
        for canvas in self.query(Canvas):
            canvas.show_again()

    def _saved(self, cells: int, _: int) -> list[Line]:
        return list(node.saved(self.dashboard.world, self.dashboard.now(), cells))

    def _chart_in(self, cells: int, rows: int) -> list[Line]:
        return list(node.chart_in(self.dashboard.world, cells, rows))

    def _chart_out(self, cells: int, rows: int) -> list[Line]:
        return list(node.chart_out(self.dashboard.world, cells, rows))

    def _cache(self, cells: int, _: int) -> list[Line]:
        return list(node.cache(self.dashboard.world, cells))

    def _facts(self, cells: int, _: int) -> list[Line]:
        return list(node.facts(self.dashboard.world, self.dashboard.now(), cells))

    def _moving(self, cells: int, rows: int) -> list[Line]:
        return list(node.moving(self.dashboard.world, self.dashboard.now(), cells, rows))

    def _lately(self, _: int, rows: int) -> list[Line]:
        told = self.dashboard.world.events
        newest = [told[-n] for n in range(1, min(rows, len(told)) + 1)]
        return [events.brief(event) for event in reversed(newest)]
