"""The lines around every page: who this is, and whether it is live."""

from __future__ import annotations

from typing import assert_never

from eagle_tui.formats import ago, count, node_name, span
from eagle_tui.paint import EMPTY, Line, Tone, join, line, spread
from eagle_tui.world import Link, World


def top_bar(world: World, now: float, cells: int) -> Line:
    """The program, the cluster and the node on the left; the link on the right."""
    left = line((" ◆ ", Tone.ACCENT), ("eagle-node", Tone.STRONG))
    if (status := world.status) is not None:
        name = node_name(world.name_of(status.node.id), 30 if cells >= 100 else 14)
        left = join(
            (
                left,
                line((status.cluster.name, Tone.TEXT), (" / ", Tone.FAINT), (name, Tone.STRONG)),
                line((status.node.address, Tone.MUTED)) if cells >= 76 else EMPTY,
            )
        )
    return spread(left, _link(world, now, cells), cells)


def banner(world: World, now: float) -> Line:
    """What stands above a page that cannot be trusted; empty while all is well."""
    match world.link(now):
        case Link.LOST if world.reached_at is None:
            return line((" ✖ ", Tone.BAD), (world.reason, Tone.TEXT))
        case Link.LOST:
            return line(
                (" ✖ not reachable since ", Tone.BAD),
                (world.lost_since, Tone.STRONG),
                (f": what you see is {span(world.age(now))} old. ", Tone.TEXT),
                (world.reason, Tone.MUTED),
            )
        case Link.SLOW:
            return line(
                (" ▲ slow answers", Tone.WARN),
                (f": what you see is {span(world.age(now))} old", Tone.TEXT),
            )
        case Link.CONNECTING | Link.LIVE:
            return EMPTY
        case unknown:
            assert_never(unknown)


def _link(world: World, now: float, cells: int) -> Line:
    age = world.age(now)
    match world.link(now):
        case Link.CONNECTING:
            return line(("◌ ", Tone.WARN), (f"asking {world.url} ", Tone.MUTED))
        case Link.LOST:
            return line(("✖ not reachable ", Tone.BAD))
        case Link.SLOW:
            return line(("▲ ", Tone.WARN), (f"data from {ago(age)} ", Tone.TEXT))
        case Link.LIVE:
            assert world.status is not None
            ready = world.readiness is None or world.readiness.ready
            state = line(("● live ", Tone.GOOD)) if ready else line(("▲ not ready ", Tone.WARN))
            if cells < 60:
                return state
            nodes = count(len(world.status.cluster.members), "node")
            return (*line((nodes + "  ", Tone.MUTED)), *state)
