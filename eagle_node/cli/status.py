"""``eagle-node status``: is the node working, and what did it save?"""

from __future__ import annotations

import argparse
import asyncio
import json
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING

from eagle_node.api.client import ApiClient
from eagle_node.api.codec import to_json
from eagle_node.api.schema import Readiness, Status
from eagle_node.base.errors import Unavailable
from eagle_node.cli.exits import Exit
from eagle_node.cli.node_api import api_client

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


def show_status(arguments: argparse.Namespace) -> int:
    """Print what the node at ``--api`` tells; raises `Unavailable` when none answers."""
    client = api_client(arguments)
    if arguments.watch is not None:
        watch = _watch_json if arguments.json else _watch
        asyncio.run(watch(client, arguments.watch))
        return Exit.OK
    status, readiness = asyncio.run(_ask_once(client))
    if arguments.json:
        print(json.dumps(to_json(status), indent=2))
        return Exit.OK
    from rich.console import Console

    from eagle_node.cli.status_screen import screen

    console = Console(highlight=False)
    console.print(screen(status, readiness, width=console.width, members=MEMBERS_SHOWN))
    return Exit.OK


MEMBERS_SHOWN = 20
"""Rows of the members' table: what a screen has room for."""


_AROUND = 3
"""Lines around the members: the headings, a blank one, and the bottom that stays empty."""


async def _ask_once(client: ApiClient) -> tuple[Status, Readiness]:
    async with client as api:
        return await _ask(api)


async def _ask(api: ApiClient) -> tuple[Status, Readiness]:
    return await api.status(), await api.ready()


async def _watch_json(client: ApiClient, period_s: float) -> None:
    """A line each time: the status, or while the node is away an ``error``."""
    async with client as api:
        document = to_json(await api.status())
        while True:
            print(json.dumps(document), flush=True)
            await asyncio.sleep(period_s)
            try:
                document = to_json(await api.status())
            except Unavailable as error:
                document = {"error": str(error)}


async def _watch(client: ApiClient, period_s: float) -> None:
    """Show it every ``period_s`` seconds; a node that goes away after the first is waited for."""
    from rich.console import Console
    from rich.live import Live

    from eagle_node.cli.status_screen import lost

    console = Console(highlight=False)
    async with client as api:
        status, readiness = await _ask(api)
        answered_at, lost_since = monotonic(), ""
        with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
            while True:
                shown = _fitted(status, readiness, console)
                if lost_since:
                    shown = lost(shown, since=lost_since, age_s=monotonic() - answered_at)
                live.update(shown, refresh=True)
                await asyncio.sleep(period_s)
                try:
                    status, readiness = await _ask(api)
                    answered_at, lost_since = monotonic(), ""
                except Unavailable:
                    lost_since = lost_since or datetime.now().astimezone().strftime("%H:%M:%S")


def _fitted(status: Status, readiness: Readiness, console: Console) -> RenderableType:
    """A screen with as many members as the terminal has lines for, which may change."""
    from eagle_node.cli.status_screen import screen

    width = console.width
    facts = screen(status, readiness, width=width, members=0)
    left = console.height - len(console.render_lines(facts)) - _AROUND
    members = max(0, left)
    while members:
        shown = screen(status, readiness, width=width, members=members)
        over = len(console.render_lines(shown)) - (console.height - 1)
        if over <= 0:
            return shown
        members = max(0, members - over)
    return facts
