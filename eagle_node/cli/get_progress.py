"""How far a download is, on a terminal: a bar for each part, with its rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

from eagle_node.base.sizes import format_size


class _Speed(ProgressColumn):
    """``12.3 MiB/s``, in the units of the sizes beside it."""

    def render(self, task: Task) -> Text:
        """The rate of the last seconds."""
        speed = task.finished_speed or task.speed
        return Text(f"{format_size(speed)}/s" if speed else "–", style="progress.data.speed")


class Progress:
    """Bars on standard error while the ``with`` lasts; none where that is no terminal."""

    def __init__(self, *, total: int | None, quiet: bool) -> None:
        console = Console(stderr=True)
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(binary_units=True),
            _Speed(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[split]}"),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._total = total
        self._all: TaskID | None = None
        self.moved = 0
        """Bytes so far."""

    def __enter__(self) -> Self:
        self._bars.start()
        self._all = self._bars.add_task("all", total=self._total, split="")
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    @property
    def is_shown(self) -> bool:
        """Whether there are bars that somebody sees."""
        return not self._bars.disable

    def tell_split(self, split: str) -> None:
        """Where the bytes have come from so far, in a few words."""
        if self._all is not None:
            self._bars.update(self._all, split=split)

    @contextmanager
    def item(self, name: str, size: int | None) -> Iterator[Callable[[int], None]]:
        """A bar for one part, which goes away once the part is here."""
        bar = self._bars.add_task(name.removeprefix("sha256:")[:12], total=size, split="")

        def moved(count: int) -> None:
            self.moved += count
            self._bars.advance(bar, count)
            if self._all is not None:
                self._bars.advance(self._all, count)

        try:
            yield moved
        finally:
            self._bars.remove_task(bar)
