"""The screen of ``eagle-node status``."""

from __future__ import annotations

import re
from collections import Counter

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from eagle_node.api.labels import labels
from eagle_node.api.schema import Readiness, RegistryTrouble, ServedFrom, Status
from eagle_node.base.sizes import format_size

_PARTS = (("local", "█", "#009e73"), ("swarm", "▓", "#56b4e9"), ("origin", "▒", "#e69f00"))
"""Of the bar: field of `ServedFrom`, pattern, colour (Okabe and Ito's, for the colour-blind)."""
_NAMES = {"local": "cache", "swarm": "nodes", "origin": "registries"}
_MADE_ID = re.compile(r"[0-9a-f]{32}\Z")
_ID_DIGITS = 12
_STATES = {"dead": "red", "suspect": "yellow", "alive": "green"}
"""Colours, those in trouble first."""


def screen(status: Status, readiness: Readiness, *, width: int, members: int) -> RenderableType:
    """One screen: the answers first, then the facts, then at most ``members`` members."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for label, value in _answers(status, readiness, width):
        table.add_row(label, value)
    for label, told in _facts(status, readiness):
        table.add_row(label, escape(told))
    if len(status.cluster.members) < 2 or not members:
        return table
    return Group(table, Text(), *_members(status, members))


def lost(shown: RenderableType, *, since: str, age_s: float) -> RenderableType:
    """``shown`` under a line that says how old it is."""
    told = f"✖ not reachable since {since}: what you see is {duration(age_s)} old"
    return Group(Text(told, style="bold red"), Text(), shown)


def duration(seconds: float) -> str:
    """The two largest units."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    shown = [f"{count} {unit}" for count, unit in parts if count]
    return " ".join(shown[:2]) or "0 s"


def hit_rate(served: ServedFrom) -> float | None:
    """Part of the bytes served that no registry sent for it; None: nothing was served."""
    total = served.local + served.swarm + served.origin
    return (served.local + served.swarm) / total if total else None


def _answers(status: Status, readiness: Readiness, width: int) -> list[tuple[str, Text]]:
    """Is it working, and what did it save?"""
    if readiness.ready:
        state = Text("● ready", style="green")
    else:
        state = Text(f"▲ not ready: {'; '.join(readiness.reasons)}", style="yellow")
    state.append(f", up for {duration(status.node.uptime_s)}", style="default")
    served = status.traffic.served_from
    rate = hit_rate(served)
    if rate is None:
        hint = "nothing yet: no client has pulled through this node"
        return [("works", state), ("saved", Text(hint))]
    saved = Text(_percent(rate), style="bold")
    saved.append(
        f" hit rate: {format_size(served.local + served.swarm)} of "
        f"{format_size(status.traffic.served_bytes)} came without the registry",
        style="not bold",
    )
    rows = [("works", state), ("saved", saved), ("", _bar(served, max(20, min(64, width - 20))))]
    rows.append(("", _legend(served)))
    if status.traffic.last_served_s is not None:
        last = Text(f"a client was served {duration(status.traffic.last_served_s)} ago")
        rows.append(("last success", last))
    return rows


def _percent(part: float) -> str:
    """100 % and 0 % are told of the very ends only."""
    if 0 < part < 0.01:
        return "under 1 %"
    if 0.99 < part < 1:
        return "over 99 %"
    return f"{round(part * 100)} %"


def _bar(served: ServedFrom, cells: int) -> Text:
    amounts = [getattr(served, name) for name, _, _ in _PARTS]
    total = sum(amounts)
    shares = [max(1, round(amount / total * cells)) if amount else 0 for amount in amounts]
    shares[shares.index(max(shares))] += cells - sum(shares)
    bar = Text()
    for (_, glyph, colour), share in zip(_PARTS, shares, strict=True):
        bar.append(glyph * share, style=colour)
    return bar


def _legend(served: ServedFrom) -> Text:
    legend = Text()
    for name, glyph, colour in _PARTS:
        legend.append(f"{'   ' if legend else ''}{glyph} ", style=colour)
        legend.append(f"{format_size(getattr(served, name))} {_NAMES[name]}")
    return legend


def _facts(status: Status, readiness: Readiness) -> list[tuple[str, str]]:
    node, traffic, cache = status.node, status.traffic, status.cache
    limit = f" of {format_size(cache.limit_bytes)}" if cache.limit_bytes else ", no limit"
    blobs = "1 blob" if cache.blobs == 1 else f"{cache.blobs} blobs"
    place = "/".join(part for part in (node.zone, node.rack) if part)
    return [
        (
            "received",
            f"{format_size(traffic.origin_bytes)} from registries, "
            f"{format_size(traffic.peer_download_bytes)} from nodes",
        ),
        ("sent", f"{format_size(traffic.peer_upload_bytes)} to nodes"),
        ("cache", f"{format_size(cache.used_bytes)}{limit}, {blobs}"),
        *_containerd(status),
        (
            "node",
            f"{node.name or node.id} at {node.address}{f' in {place}' if place else ''}"
            + (f" ({_short(node.id)})" if node.name else ""),
        ),
        ("roles", f"{', '.join(node.roles)}; version {node.version}"),
        ("cluster", f"{status.cluster.name}: {_health(status)}; {_who_decides(status, readiness)}"),
        *(
            ("registry", f"{_trouble(each)}; in trouble for {duration(each.for_s)}")
            for each in status.registries.troubles
        ),
    ]


def _containerd(status: Status) -> list[tuple[str, str]]:
    """What is offered out of containerd's store, beside the cache."""
    store = status.containerd
    if store is None:
        return []
    if store.trouble:
        return [("containerd", f"nothing is offered from there: {store.trouble}")]
    blobs = "1 blob" if store.blobs == 1 else f"{store.blobs} blobs"
    waiting = f"; {store.waiting} to be verified" if store.waiting else ""
    wrong = f"; {store.wrong} damaged" if store.wrong else ""
    return [("containerd", f"{format_size(store.bytes)} beside it, {blobs}{waiting}{wrong}")]


def _trouble(trouble: RegistryTrouble) -> str:
    named = trouble.registry in trouble.reason
    told = trouble.reason if named else f"{trouble.registry}: {trouble.reason}"
    again = f"; asked again in {duration(trouble.retry_in_s)}" if trouble.retry_in_s >= 1 else ""
    return f"{told}{again}"


def _health(status: Status) -> str:
    states = Counter(member.state for member in status.cluster.members)
    return ", ".join(f"{many:,} {state}" for state, many in states.most_common())


def _who_decides(status: Status, readiness: Readiness) -> str:
    cluster = status.cluster
    if cluster.leader is None:
        pinned = not cluster.term and readiness.ready  # who seeks a cluster is not ready
        return "roles are pinned by flags" if pinned else "no leader at this moment"
    if cluster.leader == status.node.id:
        return f"this node leads in term {cluster.term}"
    leader = labels(cluster.members).get(cluster.leader) or _short(cluster.leader)
    return f"{leader} leads in term {cluster.term}"


def _short(node: str) -> str:
    """A made id by its beginning, as commits are: there are columns to its right."""
    return node[:_ID_DIGITS] if _MADE_ID.match(node) else node


def _members(status: Status, most: int) -> list[RenderableType]:
    """Those in trouble first; the rest is counted."""
    table = Table("", "member", "address", "state", "roles", "zone", box=None, pad_edge=False)
    order, named = list(_STATES), labels(status.cluster.members)
    members = sorted(
        status.cluster.members,
        key=lambda member: order.index(member.state) if member.state in order else len(order),
    )
    shown = members if len(members) <= most else members[: most - 1]
    for member in shown:
        state = Text(member.state, style=_STATES.get(member.state, ""))
        table.add_row(
            ("◆" if member.id == status.node.id else "")
            + ("★" if member.id == status.cluster.leader else ""),
            escape(named.get(member.id) or _short(member.id)),
            escape(member.address),
            state,
            escape(", ".join(member.roles)),
            escape(member.zone or "-"),
        )
    if len(shown) < len(members):
        rest = len(members) - len(shown)
        return [table, Text(f"and {rest:,} more: eagle-node tui shows them", style="dim")]
    return [table]
