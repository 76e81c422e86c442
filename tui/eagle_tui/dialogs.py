"""Windows that ask before anything is changed, and the one that explains the keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Static

from eagle_tui.canvas import Canvas
from eagle_tui.paint import EMPTY, Line, Tone, fit, line, plain


class Confirm(ModalScreen[bool]):
    """Yes or no to ``question``; ``consequence`` says what yes does."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape", "answer(False)", "No"),
        Binding("left,right", "other", show=False),
    ]

    def __init__(self, question: str, consequence: str, *, yes: str) -> None:
        super().__init__()
        self._question = question
        self._consequence = consequence
        self._yes = yes

    def compose(self) -> ComposeResult:
        """The question above two buttons, no first: Enter alone changes nothing."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = self._question
            yield Label(self._consequence, markup=False)
            with Horizontal(classes="buttons"):
                yield Button("No (n)", id="no")
                yield Button(f"{self._yes} (y)", id="yes", variant="error")

    def on_mount(self) -> None:
        """Start at no."""
        self.query_one("#no").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Mouse, or Enter."""
        self.dismiss(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        """A key."""
        self.dismiss(yes)

    def action_other(self) -> None:
        """The other button."""
        self.focus_next()


class Ask(ModalScreen[tuple[str, ...]]):
    """Asks for some lines of text; an empty answer when it is left."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Leave")]

    def __init__(
        self, title: str, fields: Sequence[tuple[str, str, str]], *, note: str, yes: str
    ) -> None:
        """``fields``: of each its label, its text, and an example shown while it is empty."""
        super().__init__()
        self._title = title
        self._fields = fields
        self._note = note
        self._yes = yes

    def compose(self) -> ComposeResult:
        """Labels with inputs, the note, the buttons."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = self._title
            for label, text, example in self._fields:
                yield Label(label, classes="field", markup=False)
                yield Input(text, placeholder=example)
            yield Label(self._note, classes="note", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Cancel (esc)", id="no")
                yield Button(f"{self._yes} (enter)", id="yes", variant="primary")

    def on_input_submitted(self, _: Input.Submitted) -> None:
        """Enter: the next field, or the end."""
        inputs = list(self.query(Input))
        at = next((n for n, field in enumerate(inputs) if field.has_focus), len(inputs))
        if at + 1 < len(inputs):
            inputs[at + 1].focus()
        else:
            self._end()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Mouse."""
        if event.button.id == "yes":
            self._end()
        else:
            self.dismiss(())

    def action_leave(self) -> None:
        """Change nothing."""
        self.dismiss(())

    def _end(self) -> None:
        self.dismiss(tuple(field.value.strip() for field in self.query(Input)))


class Details(ModalScreen[None]):
    """All that is known of a row; long values take several lines."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q", "dismiss", "Close")]

    def __init__(self, title: str, told: Sequence[tuple[str, str]]) -> None:
        """``told``: labels with what they stand before."""
        super().__init__()
        self._title = title
        self._told = told

    def compose(self) -> ComposeResult:
        """Two columns, which scroll when they are long."""
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for label, text in self._told:
            table.add_row(Text(_printable(label)), Text(_printable(text)))
        with VerticalScroll(classes="dialog details") as dialog:
            dialog.border_title = self._title
            dialog.border_subtitle = "esc closes"
            yield Static(table)

    def on_mount(self) -> None:
        """Arrows scroll."""
        self.query_one(VerticalScroll).focus()

    def on_click(self) -> None:
        """A click anywhere closes it."""
        self.dismiss()


class Help(ModalScreen[None]):
    """Keys, by what they belong to."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,enter", "dismiss", "Close")
    ]

    def __init__(self, groups: Sequence[tuple[str, Sequence[tuple[str, str]]]]) -> None:
        """``groups``: of each its heading, and keys with what they do."""
        super().__init__()
        self._groups = groups

    def compose(self) -> ComposeResult:
        """Groups in two columns where there is room."""
        with Vertical(classes="dialog help") as dialog:
            dialog.border_title = "keys"
            dialog.border_subtitle = "esc closes"
            yield Canvas(self._lines)

    def on_click(self) -> None:
        """A click anywhere closes it."""
        self.dismiss()

    def _lines(self, cells: int, _: int) -> list[Line]:
        blocks = [_block(heading, keys) for heading, keys in self._groups if keys]
        if cells < 60:
            return [each for block in blocks for each in (*block, EMPTY)][:-1]
        left: list[Line] = []
        right: list[Line] = []
        for block in blocks:
            shorter = left if len(left) <= len(right) else right
            shorter.extend((EMPTY, *block) if shorter else block)
        half = cells // 2
        height = max(len(left), len(right))
        left += [EMPTY] * (height - len(left))
        right += [EMPTY] * (height - len(right))
        return [(*fit(a, half), *fit(b, half)) for a, b in zip(left, right, strict=True)]


def _printable(text: str) -> str:
    """``text`` with no other control characters than the ends of its lines."""
    return "\n".join(plain([line(each)]) for each in text.split("\n"))


def _block(heading: str, keys: Sequence[tuple[str, str]]) -> list[Line]:
    rows = [line((f"{key:>11}  ", Tone.ACCENT), text) for key, text in keys]
    return [line((heading, Tone.STRONG)), *rows]
