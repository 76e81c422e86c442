"""This node: is it working, and what does it save?"""

from __future__ import annotations

from collections.abc import Sequence

from eagle_node.api.schema import ServedFrom, Status
from eagle_tui.chart import area, nice_top
from eagle_tui.formats import DASH, ago, count, limit, percent, rate, size, span
from eagle_tui.paint import EMPTY, Line, Tone, bar, join, line, spread, stacked
from eagle_tui.views.transfers import brief
from eagle_tui.world import World


def saved(world: World, now: float, cells: int) -> Sequence[Line]:
    """Three lines: the share that the registry did not send, its parts, their sizes."""
    if world.status is None:
        return (EMPTY, line(("  waiting for the node's first answer", Tone.MUTED)))
    traffic = world.status.traffic
    served = traffic.served_from
    if not traffic.served_bytes:
        return (
            line(("No client has pulled through this node yet.", Tone.TEXT)),
            line(
                ("Containers: ", Tone.MUTED),
                "eagle-node mirror install",
                (", then pull", Tone.MUTED),
            ),
            line(("By hand:    ", Tone.MUTED), "eagle-node get nginx --format cache"),
        )
    without = served.local + served.swarm
    head = line(
        (percent(without / traffic.served_bytes), Tone.STRONG),
        " of what clients got here came without the registry",
    )
    last = line(("last pull ", Tone.MUTED), ago(_aged(traffic.last_served_s, world, now)))
    return (
        spread(head, last if traffic.last_served_s is not None else EMPTY, cells),
        stacked(_parts(served), cells),
        join(_legend(served, short=cells < 76), gap="   "),
    )


def chart_in(world: World, cells: int, rows: int) -> Sequence[Line]:
    """What arrives, in the colour of the source that sends more."""
    if (history := world.history) is None:
        return ()
    pairs = list(zip(history.from_origin, history.from_peers, strict=True))
    values = [origin + peers for origin, peers in pairs]
    tones = [Tone.ORIGIN if origin > peers else Tone.SWARM for origin, peers in pairs]
    return _chart(values, tones, cells, rows)


def chart_out(world: World, cells: int, rows: int) -> Sequence[Line]:
    """What leaves, to clients and to other nodes."""
    if (history := world.history) is None:
        return ()
    pairs = list(zip(history.served, history.to_peers, strict=True))
    values = [clients + peers for clients, peers in pairs]
    tones = [Tone.LOCAL if clients > peers else Tone.SWARM for clients, peers in pairs]
    return _chart(values, tones, cells, rows)


def rates_in(world: World, now: float) -> tuple[str, str]:
    """What arrives now and at the most: ``12.3 MiB/s``, ``peak 40.0 MiB/s``; old is a dash."""
    if (history := world.history) is None:
        return DASH, ""
    return _rates(_sums(history.from_origin, history.from_peers), world.is_fresh(now))


def rates_out(world: World, now: float) -> tuple[str, str]:
    """The same of what leaves."""
    if (history := world.history) is None:
        return DASH, ""
    return _rates(_sums(history.served, history.to_peers), world.is_fresh(now))


def cache(world: World, cells: int) -> Sequence[Line]:
    """How full it is."""
    if (status := world.status) is None:
        return ()
    used, most, blobs = status.cache.used_bytes, status.cache.limit_bytes, status.cache.blobs
    if not most:
        return (line((size(used), Tone.STRONG), ", no limit"), line(count(blobs, "blob")))
    share = used / most
    tone = Tone.LOCAL if share < 0.95 else Tone.WARN
    head = line((percent(share), Tone.STRONG), (" full", Tone.MUTED))
    return (
        spread(head, line((count(blobs, "blob"), Tone.MUTED)), cells),
        bar(share, cells, tone),
        line((size(used), Tone.TEXT), (f" of {size(most)}", Tone.MUTED)),
    )


def facts(world: World, now: float, cells: int) -> Sequence[Line]:
    """State, roles, place, limits, totals."""
    if (status := world.status) is None:
        return ()
    node = status.node
    place = "/".join(part for part in (node.zone, node.rack) if part) or "no zone"
    up = span(node.uptime_s + (world.age(now) or 0.0))
    lines = [
        spread(_state(world), line(("up ", Tone.MUTED), up), cells),
        spread(
            line((" ".join(node.roles), Tone.TEXT)),
            line((f"{place}  {node.version}", Tone.MUTED)),
            cells,
        ),
        spread(_totals(status, short=cells < 58), _limits(world), cells),
    ]
    if world.readiness is not None and not world.readiness.ready:
        lines.insert(1, line((f"  {'; '.join(world.readiness.reasons)}", Tone.WARN)))
    return lines


def moving(world: World, now: float, cells: int, rows: int) -> Sequence[Line]:
    """The transfers that move most, one line each."""
    busiest = sorted(world.transfers, key=lambda row: -(row.rate + row.sent_rate))
    if not busiest and world.status is None:
        return ()
    if not busiest:
        return (line(("Nothing moves: every blob that was asked for is here.", Tone.MUTED)),)
    fresh = world.is_fresh(now)
    lines = [brief(row, cells, fresh=fresh) for row in busiest[:rows]]
    if len(busiest) > rows > 1:
        lines[-1] = line((f"and {len(busiest) - rows + 1} more: press 3", Tone.MUTED))
    return lines


def _aged(seconds: float | None, world: World, now: float) -> float | None:
    return None if seconds is None else seconds + (world.age(now) or 0.0)


def _parts(served: ServedFrom) -> list[tuple[int, Tone, str]]:
    return [
        (served.local, Tone.LOCAL, "█"),
        (served.swarm, Tone.SWARM, "▓"),
        (served.origin, Tone.ORIGIN, "▒"),
    ]


def _legend(served: ServedFrom, *, short: bool) -> list[Line]:
    names = (
        ("cache", "nodes", "registry") if short else ("from the cache", "from nodes", "registry")
    )
    return [
        line((glyph + " ", tone), (size(amount), Tone.TEXT), (" " + name, Tone.MUTED))
        for (amount, tone, glyph), name in zip(_parts(served), names, strict=True)
    ]


def _chart(values: list[int], tones: list[Tone], cells: int, rows: int) -> Sequence[Line]:
    shown = values[-cells * 2 :]
    return area(values, tones, cells=cells, rows=rows, top=nice_top(shown))


def _sums(one: Sequence[int], other: Sequence[int]) -> list[int]:
    return [a + b for a, b in zip(one, other, strict=True)]


def _rates(values: list[int], fresh: bool) -> tuple[str, str]:
    current, peak = values[-1] if values else 0, max(values, default=0)
    told = (rate(current) if current else "0 B/s") if fresh else DASH
    return told, f"peak {rate(peak)}" if peak else ""


def _state(world: World) -> Line:
    if world.readiness is None:
        return EMPTY
    if world.readiness.ready:
        return line(("● ready", Tone.GOOD))
    return line(("▲ not ready", Tone.WARN))


def _totals(status: Status, *, short: bool) -> Line:
    traffic = status.traffic
    nodes = line(
        ("↓ ", Tone.SWARM),
        size(traffic.peer_download_bytes),
        ("  ↑ ", Tone.SWARM),
        size(traffic.peer_upload_bytes),
    )
    origin = line(("registry ", Tone.ORIGIN), size(traffic.origin_bytes))
    return nodes if short else join((nodes, origin))


def _limits(world: World) -> Line:
    values = {setting.key: setting.value for setting in world.settings}
    shown = [
        line((arrow, Tone.MUTED), limit(values[key]))
        for key, arrow in (("download-limit", "limit ↓ "), ("upload-limit", "limit ↑ "))
        if values.get(key) not in (None, "", "0")
    ]
    return join(shown)
