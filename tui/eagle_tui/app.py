"""The dashboard's frame: pages, keys, and when what is known is shown again."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from time import monotonic
from typing import Any, ClassVar

from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.css.query import NoMatches
from textual.driver import Driver
from textual.screen import Screen
from textual.widgets import ContentSwitcher, Footer

from eagle_node.api.client import ApiClient
from eagle_node.base.errors import EagleError
from eagle_tui import palette
from eagle_tui.bars import PagesLine
from eagle_tui.canvas import Canvas
from eagle_tui.commands import Commands
from eagle_tui.dialogs import Help
from eagle_tui.feed import Feed, time_of_day
from eagle_tui.grid import Grid
from eagle_tui.pages.blobs import BlobsPage
from eagle_tui.pages.cluster import ClusterPage
from eagle_tui.pages.events import EventsPage
from eagle_tui.pages.node import NodePage
from eagle_tui.pages.page import Page
from eagle_tui.pages.preheat import PreheatPage
from eagle_tui.pages.settings import SettingsPage
from eagle_tui.pages.transfers import TransfersPage
from eagle_tui.paint import Line
from eagle_tui.styles import CSS
from eagle_tui.views.frame import banner, top_bar
from eagle_tui.world import World

FRAME_S = 0.25
"""Between looks at whether something has changed: a burst of events is one frame."""
AGES_S = 1.0
"""After which ages are shown anew even when nothing has changed."""

PAGES: dict[str, type[Page]] = {
    "node": NodePage,
    "cluster": ClusterPage,
    "transfers": TransfersPage,
    "blobs": BlobsPage,
    "preheat": PreheatPage,
    "events": EventsPage,
    "settings": SettingsPage,
}
"""In the order of their keys."""


class Dashboard(App[None]):
    """Shows the node of ``api`` until it is quit."""

    TITLE = "eagle-node"
    CSS = CSS
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {Commands}
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - so declared by the library
        (0, "-narrow"),
        (120, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (40, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("t", "toggle_theme", "Light, dark", show=False),
        Binding("q", "quit", "Quit"),
        Binding("tab,right_square_bracket", "step(1)", "Next page", show=False, priority=False),
        Binding("shift+tab,left_square_bracket", "step(-1)", "Page before", show=False),
        *(
            Binding(str(n), f"page('{name}')", kind.TITLE, show=False)
            for n, (name, kind) in enumerate(PAGES.items(), start=1)
        ),
    ]

    def __init__(
        self,
        api: ApiClient,
        *,
        clock: Callable[[], float] = monotonic,
        time_of_day: Callable[[], str] = time_of_day,
        light: bool = False,
        driver: type[Driver] | None = None,
    ) -> None:
        super().__init__(driver_class=driver)
        self.api = api
        self.world = World(url=api.url)
        self.now = clock
        self.feed = Feed(
            api,
            self.world,
            changed=self._mark_changed,
            wanted=lambda: PAGES[self._in_sight].DOCUMENTS,
            clock=clock,
            time_of_day=time_of_day,
        )
        self._in_sight = "node"
        """Of the page in sight."""
        self._changed = True
        self._shown_at = 0.0
        for each in palette.PALETTES.values():
            self.register_theme(each.theme())
        self.theme = palette.LIGHT if light else palette.DARK

    @property
    def page(self) -> Page:
        """The one in sight."""
        return self.screen_stack[0].query_one(f"#{self._in_sight}", Page)

    def compose(self) -> ComposeResult:
        """Two lines above the page, one below it."""
        yield Canvas(self._top, id="top")
        yield PagesLine([kind.TITLE for kind in PAGES.values()], id="pages-line")
        yield Canvas(self._banner, id="banner")
        with ContentSwitcher(initial="node"):
            for name, kind in PAGES.items():
                yield kind(id=name)
        yield Footer(compact=True, show_command_palette=True)

    def on_mount(self) -> None:
        """Begin to ask and to listen."""
        self.page.enter()
        self.run_worker(self.feed.poll(), name="poll the node", exit_on_error=True)
        self.run_worker(self.feed.follow(), name="follow its events", exit_on_error=True)
        self.set_interval(FRAME_S, self._show_if_changed, name="frames")

    def show(self) -> None:
        """Show what is known, in all of the frame and the page in sight."""
        try:
            base = self.screen_stack[0]
            base.query_one("#top", Canvas).show_again()
            told = base.query_one("#banner", Canvas)
            told.set_class(bool(banner(self.world, self.now())), "-shown")
            told.show_again()
            self.page.show(self.world, self.now())
        except NoMatches:  # widgets are being made or taken away
            return
        self._changed, self._shown_at = False, self.now()

    def work(self, task: Coroutine[Any, Any, None], name: str) -> None:
        """Do ``task``, and tell people of its error."""

        async def told() -> None:
            try:
                await task
            except EagleError as error:
                detail = getattr(error, "detail", "") or str(error)
                self.notify(detail, title=f"{name} failed", severity="error", markup=False)

        self.run_worker(told(), name=name)

    def copy(self, text: str) -> None:
        """To the clipboard of the terminal, where it lets us (OSC 52)."""
        self.copy_to_clipboard(text)
        self.notify(f"copied {text[:40]}{'…' if len(text) > 40 else ''}", markup=False)

    def go_to(self, page: str, key: str) -> None:
        """Show a page with the cursor on a row."""
        self.action_page(page)
        self.show()
        self.page.query_one(Grid).go_to(key)

    def commands(self) -> list[tuple[str, str, Callable[[], Any]]]:
        """Of the palette: title, help, what to do."""
        found: list[tuple[str, str, Callable[[], Any]]] = [
            (f"Page: {kind.TITLE}", f"key {n}", lambda name=name: self.action_page(name))  # type: ignore[misc]
            for n, (name, kind) in enumerate(PAGES.items(), start=1)
        ]
        for binding in self.page.BINDINGS:
            if isinstance(binding, Binding) and binding.show:
                run = getattr(self.page, f"action_{binding.action}")
                found.append(
                    (f"{self.page.TITLE}: {binding.description}", f"key {binding.key}", run)
                )
        return [
            *found,
            ("Light or dark", "key t", self.action_toggle_theme),
            ("Keys", "key ?", self.action_help),
            ("Quit", "key q", self.exit),
        ]

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """None of the library's: `commands` has them."""
        return ()

    def action_page(self, name: str) -> None:
        """Show a page."""
        self._in_sight = name
        self.query_one(ContentSwitcher).current = name
        self.query_one(PagesLine).point_at(list(PAGES).index(name))
        self.feed.hurry()
        self.page.enter()
        self.call_after_refresh(self.show)

    def action_step(self, pages: int) -> None:
        """Show the next page, or the one before."""
        names = list(PAGES)
        at = names.index(str(self.page.id)) + pages
        self.action_page(names[at % len(names)])

    def action_toggle_theme(self) -> None:
        """From dark to light and back."""
        self.theme = palette.DARK if self.theme == palette.LIGHT else palette.LIGHT

    def action_help(self) -> None:
        """Show the keys."""
        grids = self.page.query(Grid)
        self.push_screen(
            Help(
                [
                    (self.page.TITLE, _keys(self.page)),
                    ("rows", _keys(grids.first()) if grids else ()),
                    ("everywhere", [*_keys(self), (f"1 … {len(PAGES)}", "Page"), _PALETTE]),
                ]
            )
        )

    def on_pages_line_picked(self, event: PagesLine.Picked) -> None:
        """A click on a page's name."""
        self.action_page(list(PAGES)[event.index])

    def _mark_changed(self) -> None:
        self._changed = True

    def _show_if_changed(self) -> None:
        if self._changed or self.now() - self._shown_at >= AGES_S:
            self.show()

    def _top(self, cells: int, _: int) -> list[Line]:
        return [top_bar(self.world, self.now(), cells)]

    def _banner(self, _cells: int, _rows: int) -> list[Line]:
        return [banner(self.world, self.now())]


_PALETTE = ("ctrl+p", "Command palette")


def _keys(owner: Page | Grid[Any] | App[Any]) -> list[tuple[str, str]]:
    """Keys with what they do, of the classes that are ours."""
    found: dict[str, str] = {}
    for kind in type(owner).__mro__:
        if kind.__module__.startswith("eagle_tui"):
            for binding in vars(kind).get("BINDINGS", ()):
                if binding.action.startswith("page("):
                    continue
                found.setdefault(_key_name(binding), binding.description)
    return list(found.items())


def _key_name(binding: Binding) -> str:
    keys = binding.key.split(",")
    names = [_KEY_NAMES.get(key, key) for key in keys]
    return binding.key_display or " ".join(names)


_KEY_NAMES = {
    "up": "↑",
    "down": "↓",
    "slash": "/",
    "escape": "esc",
    "question_mark": "?",
    "pageup": "pgup",
    "pagedown": "pgdn",
    "right_square_bracket": "]",
    "left_square_bracket": "[",
    "shift+tab": "⇧tab",
}
