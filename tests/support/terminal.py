"""A real terminal to run the program in: tmux, with one window."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.process import run
from tests.support.waiting import until

PATIENCE_S = 60.0


class Terminal:
    """A tmux server of its own, with one window."""

    def __init__(self, directory: Path) -> None:
        self._tmux = ["tmux", "-f", "/dev/null", "-S", str(directory / "tmux.sock")]

    async def start(self, argv: Sequence[str], *, columns: int, rows: int) -> None:
        """Run ``argv`` in the window; its status follows in brackets once it has ended."""
        shown = f"{shlex.join(argv)}; echo [$?]; exec sleep 600"
        size = ["-x", str(columns), "-y", str(rows)]
        await run([*self._tmux, "new-session", "-d", *size, f"TERM=xterm-256color; {shown}"])

    async def type(self, *keys: str) -> None:
        """Press keys, by tmux's names."""
        await run([*self._tmux, "send-keys", *keys])

    async def shows(self, *texts: str) -> str:
        """The screen, once all ``texts`` are on it."""
        screen = ""

        async def there() -> bool:
            nonlocal screen
            screen = (await run([*self._tmux, "capture-pane", "-p"])).stdout
            return all(text in screen for text in texts)

        await until(there, timeout=PATIENCE_S, what=f"{texts} on the screen")
        return screen

    async def stop(self) -> None:
        """End the server and what runs in it."""
        await run([*self._tmux, "kill-server"])


@asynccontextmanager
async def terminal(
    directory: Path, argv: Sequence[str], *, columns: int = 80, rows: int = 24
) -> AsyncIterator[Terminal]:
    """``argv`` in a terminal while the block lasts."""
    made = Terminal(directory)
    await made.start(argv, columns=columns, rows=rows)
    try:
        yield made
    finally:
        await made.stop()
