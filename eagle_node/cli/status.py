"""``eagle-node status``: one screen about a running node."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import TYPE_CHECKING

from eagle_node.api.codec import to_json
from eagle_node.api.schema import Readiness, Status
from eagle_node.base.sizes import format_size
from eagle_node.cli.exits import Exit
from eagle_node.cli.node_api import api_client

if TYPE_CHECKING:
    from rich.table import Table


def show_status(arguments: argparse.Namespace) -> int:
    """Print what the node at ``--api`` tells; raises `Unavailable` when none answers."""
    status, readiness = asyncio.run(_ask(arguments))
    if arguments.json:
        print(json.dumps(to_json(status), indent=2))
        return Exit.OK
    from rich.console import Console

    console = Console(highlight=False)
    console.print(_screen(status, readiness))
    if len(status.cluster.members) > 1:
        console.print(_members(status))
    return Exit.OK


async def _ask(arguments: argparse.Namespace) -> tuple[Status, Readiness]:
    async with api_client(arguments) as api:
        return await api.status(), await api.ready()


def _screen(status: Status, readiness: Readiness) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column()
    for label, value in _lines(status, readiness):
        table.add_row(label, escape(value))
    return table


def _lines(status: Status, readiness: Readiness) -> list[tuple[str, str]]:
    node, traffic, cache = status.node, status.traffic, status.cache
    served = traffic.served_from
    limit = format_size(cache.limit_bytes) if cache.limit_bytes else "no limit"
    troubles = [
        (f"registry {each.registry}", f"{each.reason}; in trouble for {_duration(each.for_s)}")
        for each in status.registries.troubles
    ]
    return [
        ("node", f"{node.id} at {node.address}, version {node.version}"),
        ("state", "ready" if readiness.ready else f"not ready: {'; '.join(readiness.reasons)}"),
        ("up for", _duration(node.uptime_s)),
        ("roles", ", ".join(node.roles)),
        ("zone", node.zone or "-"),
        ("cluster", f"{status.cluster.name}, roles {_who_decides(status)}"),
        ("cache", f"{format_size(cache.used_bytes)} of {limit}, {cache.blobs} blobs"),
        ("from registries", format_size(traffic.origin_bytes)),
        ("from nodes", format_size(traffic.peer_download_bytes)),
        ("to nodes", format_size(traffic.peer_upload_bytes)),
        (
            "to clients",
            f"{format_size(traffic.served_bytes)}: {format_size(served.local)} from the cache, "
            f"{format_size(served.swarm)} from nodes, {format_size(served.origin)} from registries",
        ),
        *troubles,
    ]


def _members(status: Status) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table("member", "address", "state", "roles", "zone")
    for member in status.cluster.members:
        roles = ", ".join(member.roles)
        cells = (member.id, member.address, member.state, roles, member.zone or "-")
        table.add_row(*map(escape, cells))
    return table


def _who_decides(status: Status) -> str:
    if status.cluster.leader is None:
        return "pinned by flags"
    return f"given by {status.cluster.leader} (term {status.cluster.term})"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    shown = [f"{count} {unit}" for count, unit in parts if count]
    return " ".join(shown[:2]) or "0 s"
