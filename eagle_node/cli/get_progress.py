"""How far a download is, on a terminal: a bar for each part, with its rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bars


class Progress:
    """Bars on standard error while the ``with`` lasts; none where that is no terminal."""

    def __init__(self, *, total: int | None, quiet: bool) -> None:
        console = Console(stderr=True)
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(compact=True),
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
        self._all = self._bars.add_task("all", total=self._total)
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    @contextmanager
    def item(self, name: str, size: int | None) -> Iterator[Callable[[int], None]]:
        """A bar for one part, which goes away once the part is here."""
        bar = self._bars.add_task(name.removeprefix("sha256:")[:12], total=size)

        def moved(count: int) -> None:
            self.moved += count
            self._bars.advance(bar, count)
            if self._all is not None:
                self._bars.advance(self._all, count)

        try:
            yield moved
        finally:
            self._bars.remove_task(bar)
