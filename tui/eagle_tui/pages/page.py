"""What all pages have."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from eagle_tui.dialogs import Details
from eagle_tui.world import World

if TYPE_CHECKING:
    from eagle_tui.app import Dashboard

R = TypeVar("R")


class Page(Vertical):
    """One of the pages; `show` is called while it is in sight, whenever something has changed."""

    TITLE: ClassVar[str]
    """In the line of pages."""
    DOCUMENTS: ClassVar[tuple[str, ...]] = ()
    """What the feed shall ask for while it is in sight."""

    @property
    def dashboard(self) -> Dashboard:
        """The app, as what it is."""
        return cast("Dashboard", self.app)

    def show(self, world: World, now: float) -> None:
        """Show what is known."""
        raise NotImplementedError

    def enter(self) -> None:
        """It has come in sight: give the focus to what keys act on."""
        raise NotImplementedError

    def again(self) -> None:
        """Show the same again, in another order or with another filter."""
        self.show(self.dashboard.world, self.dashboard.now())

    def tell(self, title: str, told: Sequence[tuple[str, str]]) -> None:
        """Show all of a row."""
        self.app.push_screen(Details(title, told))

    def ask(
        self, screen: ModalScreen[R], then: Callable[[R], Coroutine[Any, Any, None]], name: str
    ) -> None:
        """Show ``screen``, and work on its answer, as the worker ``name``, if there is one."""

        def answered(answer: R | None) -> None:
            if answer:
                self.dashboard.work(then(answer), name)

        self.app.push_screen(screen, answered)


class SearchPage(Page):
    """A page with a line to search in, which ``/`` opens and Escape clears."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", key_display="/"),
        Binding("escape", "search_end", "Clear the search", show=False),
    ]
    PLACEHOLDER: ClassVar[str] = "search"

    @property
    def text(self) -> str:
        """What is searched for."""
        return self.query_one(".search", Input).value.strip()

    def search_line(self) -> Input:
        """The input, for `compose`."""
        return Input(placeholder=self.PLACEHOLDER, classes="search", compact=True)

    def action_search(self) -> None:
        """Open the line."""
        field = self.query_one(".search", Input)
        field.display = True
        field.focus()

    def action_search_end(self) -> None:
        """Close it, and show everything."""
        field = self.query_one(".search", Input)
        field.value = ""
        field.display = False
        self.enter()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter keeps the search and goes back to the rows."""
        event.input.display = bool(self.text)
        self.enter()

    def on_input_changed(self, _: Input.Changed) -> None:
        """Search as one types."""
        self.searched()

    def searched(self) -> None:
        """The text is another one."""
        self.again()
