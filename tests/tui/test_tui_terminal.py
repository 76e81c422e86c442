"""The dashboard as a process, in a real terminal, at a real node."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.node import eagle_node
from tests.support.terminal import terminal

PROGRAM = (sys.executable, "-m", "eagle_node")


async def test_a_real_node_is_watched_in_a_real_terminal(tmp_path: Path) -> None:
    """Pages follow keys at 80x24; a node that goes and comes back is told; q leaves with 0."""
    async with (
        eagle_node(tmp_path, "--zone", "eu-1", "--name", "web-1") as node,
        terminal(tmp_path, [*PROGRAM, "tui", "--api", node.api_url]) as screen,
    ):
        shown = await screen.shows("● live", "1 node", "No client has pulled", "● ready", "eu-1")
        assert max(len(line) for line in shown.splitlines()) <= 80
        await screen.type("2")
        await screen.shows("● 1 alive", "◆ web-1")
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
    watch = [*PROGRAM, "status", "--watch", "0.2"]
    async with (
        eagle_node(tmp_path) as node,
        terminal(tmp_path, [*watch, "--api", node.api_url], columns=100) as screen,
    ):
        await screen.shows("● ready", "no client has pulled through this node")
        await node.terminate()
        await screen.shows("✖ not reachable since")
        await screen.type("C-c")
        await screen.shows("[130]")
