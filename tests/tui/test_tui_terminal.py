"""The dashboard as a process, in a real terminal, at a real node."""

from __future__ import annotations

import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.node import eagle_node
from tests.support.process import run
from tests.support.waiting import until

PATIENCE_S = 60.0


class Terminal:
    """A tmux server of its own, with one window."""

    def __init__(self, directory: Path) -> None:
        self._tmux = ["tmux", "-f", "/dev/null", "-S", str(directory / "tmux.sock")]

    async def start(self, command: str, *, columns: int, rows: int) -> None:
        """Run ``command`` in the window; its status follows in brackets once it has ended."""
        shown = f"{command}; echo [$?]; exec sleep 600"
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
    directory: Path, arguments: str, *, columns: int = 80, rows: int = 24
) -> AsyncIterator[Terminal]:
    """``eagle-node ARGUMENTS`` in a terminal."""
    made = Terminal(directory)
    command = f"{shlex.quote(sys.executable)} -m eagle_node {arguments}"
    await made.start(command, columns=columns, rows=rows)
    try:
        yield made
    finally:
        await made.stop()


async def test_a_real_node_is_watched_in_a_real_terminal(tmp_path: Path) -> None:
    """Pages follow keys at 80x24; a node that goes and comes back is told; q leaves with 0."""
    async with (
        eagle_node(tmp_path, "--zone", "eu-1") as node,
        terminal(tmp_path, f"tui --api {node.api_url}") as screen,
    ):
        shown = await screen.shows("● live", "1 node", "No client has pulled", "● ready", "eu-1")
        assert max(len(line) for line in shown.splitlines()) <= 80
        node_id = (await node.status())["node"]["id"]
        await screen.type("2")
        await screen.shows("● 1 alive", f"◆ {node_id[:5]}")
        await screen.type("7")
        await screen.shows("upload-limit")
        await screen.type("?")
        await screen.shows("everywhere", "Command palette")
        await screen.type("Escape")
        await node.terminate()
        await screen.shows("not reachable since")
        await screen.type("q")
        await screen.shows("[0]")


async def test_status_is_watched_until_interrupted(tmp_path: Path) -> None:
    """It shows that the node works, then since when it does not answer, and ends with 130."""
    async with (
        eagle_node(tmp_path) as node,
        terminal(tmp_path, f"status --watch 0.2 --api {node.api_url}", columns=100) as screen,
    ):
        await screen.shows("● ready", "no client has pulled through this node")
        await node.terminate()
        await screen.shows("✖ not reachable since")
        await screen.type("C-c")
        await screen.shows("[130]")
