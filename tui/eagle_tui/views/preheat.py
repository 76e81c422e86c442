"""Images on their way to nodes before anybody pulls them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from eagle_node.api.schema import PreheatJob, PreheatTarget
from eagle_tui.columns import Column
from eagle_tui.formats import DASH, count, image_name, node_name, percent, size
from eagle_tui.paint import EMPTY, Line, Tone, fit, join, line, progress, spread, width
from eagle_tui.world import World

STATES = {
    "pending": ("◌", Tone.WARN),
    "running": ("▶", Tone.SWARM),
    "succeeded": ("✔", Tone.GOOD),
    "failed": ("✖", Tone.BAD),
    "cancelled": ("○", Tone.MUTED),
}
ENDED = ("succeeded", "failed", "cancelled")
"""States that a job stays in."""


def share(job: PreheatJob) -> float | None:
    """Part of the bytes that the targets hold, on average; None: not known yet."""
    if job.state == "succeeded":
        return 1.0
    if not job.targets or not job.size_bytes:
        return None
    have = sum(min(target.have_bytes, job.size_bytes) for target in job.targets)
    return have / (job.size_bytes * len(job.targets))


def columns() -> list[Column[PreheatJob]]:
    """Of the table."""
    return [
        Column(
            name="id",
            title="job",
            cells=5,
            right=True,
            cell=lambda job, _: line((str(job.id), Tone.MUTED)),
            sort=lambda job: job.id,
        ),
        Column(name="state", title="state", cells=11, cell=_state, sort=lambda job: job.state),
        Column(
            name="image",
            title="image",
            cells=20,
            grows=3,
            cell=lambda job, cells: line(image_name(job.image, cells)),
            sort=lambda job: job.image,
        ),
        Column(
            name="nodes",
            title="nodes",
            cells=10,
            grows=1,
            most=24,
            cell=_nodes,
            sort=lambda job: len(job.targets),
        ),
        Column(name="progress", title="progress", cells=16, grows=2, most=44, cell=_progress),
        Column(
            name="size",
            title="size",
            cells=10,
            right=True,
            cell=lambda job, _: line(
                (size(job.size_bytes) if job.size_bytes else DASH, Tone.MUTED)
            ),
            sort=lambda job: job.size_bytes,
            drop=2,
        ),
        Column(
            name="created",
            title="since (UTC)",
            cells=16,
            cell=lambda job, _: line((job.created_at[:16].replace("T", " "), Tone.MUTED)),
            sort=lambda job: job.created_at,
            drop=1,
        ),
    ]


def detail(job: PreheatJob | None, world: World, cells: int, rows: int) -> Sequence[Line]:
    """What came of it node by node, failures first."""
    if job is None:
        return (line(("No jobs. Press n to bring an image to nodes.", Tone.MUTED)),)
    states = Counter(target.state for target in job.targets)
    counted = join(
        line((f"{STATES.get(state, ('?', Tone.WARN))[0]} ", _tone(state)), f"{many:,} {state}")
        for state, many in states.most_common()
    )
    what = f"{count(job.blobs, 'blob')} each, {job.platform or 'default platform'}"
    lines = [spread(counted, line((what, Tone.MUTED)), cells)]
    if job.error:
        lines.append(line(("✖ ", Tone.BAD), job.error))
    room = max(0, rows - len(lines))
    worst = by_trouble(job, world)
    lines.extend(_target(target, world, job, cells) for target in worst[:room])
    return lines


def details(job: PreheatJob, world: World) -> list[tuple[str, str]]:
    """All that is known of one."""
    told = [
        ("job", f"{job.id}, {job.state}"),
        ("image", job.image),
        ("digest", job.digest or "not resolved yet"),
        ("nodes", f"{job.nodes}: {count(len(job.targets), 'node')}"),
        ("platform", job.platform or "that of the node that was asked"),
        ("size", f"{count(job.blobs, 'blob')}, {size(job.size_bytes)}"),
        ("asked (UTC)", job.created_at[:19].replace("T", " ")),
        ("changed (UTC)", job.updated_at[:19].replace("T", " ")),
    ]
    told += [("error", job.error)] if job.error else []
    for target in by_trouble(job, world):
        held = f"{target.state}, {target.blobs}/{job.blobs} blobs, {size(target.have_bytes)}"
        told.append((world.name_of(target.node), f"{target.address}: {target.error or held}"))
    return told


def by_trouble(job: PreheatJob, world: World) -> list[PreheatTarget]:
    """Its nodes, failures first."""
    return sorted(
        job.targets, key=lambda each: (_WORST.get(each.state, 0), world.name_of(each.node))
    )


_WORST = {"failed": 0, "running": 1, "pending": 2, "succeeded": 3}


def _tone(state: str) -> Tone:
    return STATES.get(state, ("?", Tone.WARN))[1]


def _state(job: PreheatJob, _: int) -> Line:
    mark, tone = STATES.get(job.state, ("?", Tone.WARN))
    return line((f"{mark} ", tone), job.state)


def _nodes(job: PreheatJob, _: int) -> Line:
    done = sum(target.state == "succeeded" for target in job.targets)
    return line(
        f"{done:,}/{len(job.targets):,}" if job.targets else DASH, (f" {job.nodes}", Tone.MUTED)
    )


def _progress(job: PreheatJob, cells: int) -> Line:
    done = share(job)
    if done is None:
        return line((DASH, Tone.MUTED))
    told = fit(line(percent(done)), 6, right=True)
    return (*progress(done, max(1, cells - 6), _tone(job.state)), *told)


def _target(target: PreheatTarget, world: World, job: PreheatJob, cells: int) -> Line:
    mark, tone = STATES.get(target.state, ("?", Tone.WARN))
    done = min(1.0, target.have_bytes / job.size_bytes) if job.size_bytes else 0.0
    head = line((f"{mark} ", tone), (node_name(world.name_of(target.node), 30), Tone.TEXT))
    if target.error:
        return join((head, line((target.error, Tone.BAD))))
    tail = join(
        (
            line((f"{target.blobs}/{job.blobs} blobs", Tone.MUTED)),
            progress(done, 16, tone) if cells >= 70 else EMPTY,
            fit(line(percent(done)), 5, right=True),
        )
    )
    return (*fit(head, max(0, cells - width(tail) - 1)), *line(" "), *tail)
