"""What moves: a row for each blob, and who feeds whom."""

from __future__ import annotations

from collections.abc import Sequence

from eagle_node.api.schema import PeerShare, TransferRow
from eagle_tui.columns import Column
from eagle_tui.formats import (
    DASH,
    image_name,
    node_name,
    percent,
    rate,
    roughly,
    short_digest,
    size,
    span,
)
from eagle_tui.paint import EMPTY, Line, Tone, fit, join, line, progress, width
from eagle_tui.world import World

_STATES = {
    "waiting": ("◌", Tone.WARN),
    "fetching": ("↓", Tone.SWARM),
    "verifying": ("≈", Tone.ACCENT),
    "sending": ("↑", Tone.GOOD),
}


def share(row: TransferRow) -> float | None:
    """How much of it is here; None: its size is not known."""
    if row.size is None:
        return None
    return 1.0 if not row.size else min(1.0, row.have_bytes / row.size)


def tone_of(row: TransferRow) -> Tone:
    """The colour of where it comes from."""
    if row.state == "sending":
        return Tone.LOCAL
    return Tone.ORIGIN if row.source == "origin" else Tone.SWARM


def columns(fresh: bool) -> list[Column[TransferRow]]:
    """Of the table; rates are dashes unless ``fresh``."""
    return [*_blob_columns(), *_flow_columns(fresh)]


def _blob_columns() -> list[Column[TransferRow]]:
    """What it is, and how much of it is here."""
    return [
        Column(name="state", title="", cells=1, cell=_state, sort=lambda row: row.state),
        Column(
            name="image",
            title="image",
            cells=20,
            grows=3,
            most=70,
            cell=_image,
            sort=lambda row: (row.image, row.digest),
        ),
        Column(
            name="digest",
            title="digest",
            cells=12,
            cell=lambda row, _: line((short_digest(row.digest), Tone.MUTED)),
            sort=lambda row: row.digest,
            drop=6,
        ),
        Column(
            name="progress",
            title="progress",
            cells=14,
            grows=2,
            most=44,
            cell=_progress,
            sort=lambda row: share(row) or 0.0,
        ),
        Column(
            name="size",
            title="size",
            cells=10,
            right=True,
            cell=lambda row, _: line((size(row.size), Tone.MUTED)),
            sort=lambda row: row.size or 0,
            drop=4,
        ),
    ]


def _flow_columns(fresh: bool) -> list[Column[TransferRow]]:
    """How fast it moves, and between whom."""

    def told(value: int) -> str:
        return rate(value) if fresh else DASH

    return [
        Column(
            name="in",
            title="in",
            cells=12,
            right=True,
            cell=lambda row, _: line((told(row.rate), Tone.TEXT)),
            sort=lambda row: row.rate,
        ),
        Column(
            name="out",
            title="out",
            cells=12,
            right=True,
            cell=lambda row, _: line((told(row.sent_rate), Tone.TEXT)),
            sort=lambda row: row.sent_rate,
            drop=2,
        ),
        Column(
            name="from",
            title="from",
            cells=9,
            cell=lambda row, _: _from(row),
            sort=lambda row: len(row.sources),
            drop=3,
        ),
        Column(
            name="feeds",
            title="feeds",
            cells=6,
            right=True,
            cell=lambda row, _: line(str(len(row.children) or DASH)),
            sort=lambda row: len(row.children),
            drop=5,
        ),
        Column(
            name="eta",
            title="left",
            cells=9,
            right=True,
            cell=lambda row, _: line(roughly(row.eta_s) if fresh else DASH),
            sort=lambda row: row.eta_s if row.eta_s is not None else float("inf"),
            drop=1,
        ),
    ]


def brief(row: TransferRow, cells: int, *, fresh: bool) -> Line:
    """One line of it for the first page."""
    rates = rate(row.sent_rate if row.state == "sending" else row.rate) if fresh else DASH
    tail = join(
        (
            _progress(row, 22 if cells >= 90 else 14),
            fit(line(rates), 12, right=True),
            fit(_from(row), 9) if cells >= 70 else EMPTY,
            fit(line(roughly(row.eta_s) if fresh else DASH), 9, right=True)
            if cells >= 60
            else EMPTY,
        )
    )
    head = join((_state(row, 1), _image(row, max(8, cells - width(tail) - 4))), gap=" ")
    return (*fit(head, max(0, cells - width(tail) - 1)), *line(" "), *tail)


def tree(row: TransferRow | None, world: World, now: float, cells: int, rows: int) -> list[Line]:
    """Sources on the left, this node in the middle, those that it feeds on the right."""
    if row is None:
        return [line(("Nothing moves now.", Tone.MUTED))]
    fresh = world.is_fresh(now)
    side = max(18, min(44, (cells - 24) // 2))
    left = _sources(row, world, side, fresh)
    right = [_peer(each, world, side, fresh, arrow="↑") for each in row.children]
    right = right or [line(("no other node yet", Tone.MUTED))]
    left, right = _cut(left, rows, side), _cut(right, rows, side)
    room = max(15, cells - 2 * side - 9)
    name = world.name_of(world.status.node.id) if world.status is not None else ""
    name = name if 0 < len(name) <= room - 6 else "this node"
    here = line(
        (name, Tone.STRONG),
        (f" {percent(share(row))} ", tone_of(row)),
    )
    return [
        _tree_row(left, right, y, here if y == 0 else fit(EMPTY, width(here)), side)
        for y in range(max(len(left), len(right)))
    ]


def tree_title(row: TransferRow | None, cells: int) -> str:
    """What the tree is of."""
    if row is None:
        return "who feeds whom"
    digest = short_digest(row.digest)
    image = image_name(row.image, max(8, cells - len(digest) - 1))
    return f"{image} {digest}" if image else digest


def details(row: TransferRow, world: World, now: float) -> list[tuple[str, str]]:
    """All that is known of one."""
    fresh = world.is_fresh(now)

    def told(peers: Sequence[PeerShare], nobody: str) -> str:
        return (
            "\n".join(
                f"{world.name_of(each.node) if each.node else each.address}"
                + (f", {rate(each.rate)}" if fresh else "")
                for each in peers
            )
            or nobody
        )

    source = {"origin": "the registry", "swarm": "other nodes"}.get(row.source, DASH)
    return [
        ("image", row.image or DASH),
        ("digest", row.digest),
        ("state", row.state),
        ("here", f"{size(row.have_bytes)} of {size(row.size)} ({percent(share(row))})"),
        ("in", f"{rate(row.rate) if fresh else DASH} from {source}"),
        ("left", roughly(row.eta_s) if fresh else DASH),
        ("asked for", f"{span(row.age_s)} ago" if row.age_s else DASH),
        ("comes from", told(row.sources, source)),
        ("goes to", told(row.children, "no other node now")),
    ]


def matches(row: TransferRow, text: str) -> bool:
    """Whether a search for ``text`` finds it."""
    text = text.lower()
    return text in row.image.lower() or text in row.digest


def _state(row: TransferRow, _: int) -> Line:
    glyph, tone = _STATES.get(row.state, ("?", Tone.WARN))
    return line((glyph, tone_of(row) if row.state == "fetching" else tone))


def _image(row: TransferRow, cells: int) -> Line:
    if row.image:
        return line((image_name(row.image, cells), Tone.TEXT))
    return line((short_digest(row.digest), Tone.MUTED))


def _progress(row: TransferRow, cells: int) -> Line:
    done = share(row)
    if done is None:
        return line((row.state, Tone.MUTED))
    told = fit(line((percent(done), Tone.TEXT)), 6, right=True)
    return (*progress(done, max(1, cells - 6), tone_of(row)), *told)


def _from(row: TransferRow) -> Line:
    if row.state == "sending":
        return line(("cache", Tone.LOCAL))
    if row.source == "origin":
        return line(("registry", Tone.ORIGIN))
    if row.sources:
        many = len(row.sources)
        return line((f"{many} node{'s' if many > 1 else ''}", Tone.SWARM))
    return line((DASH, Tone.MUTED))


def _sources(row: TransferRow, world: World, cells: int, fresh: bool) -> list[Line]:
    if row.state == "sending":
        return [line(("this node's cache", Tone.LOCAL))]
    lines = [_peer(each, world, cells, fresh, arrow="↓") for each in row.sources]
    if row.source == "origin":
        lines.insert(0, line(("the registry", Tone.ORIGIN)))
    return lines or [line(("no source yet", Tone.WARN))]


def _peer(peer: PeerShare, world: World, cells: int, fresh: bool, *, arrow: str) -> Line:
    told = line((f" {arrow} ", Tone.SWARM), (rate(peer.rate) if fresh else DASH, Tone.MUTED))
    known = world.name_of(peer.node) if peer.node else peer.address
    name = node_name(known, max(8, cells - width(told) - 1))
    return (*line((name, Tone.TEXT)), *told)


def _cut(lines: list[Line], rows: int, cells: int) -> list[Line]:
    if len(lines) <= max(1, rows):
        return lines
    more = line((f"and {len(lines) - rows + 1} more", Tone.MUTED))
    return [*lines[: max(0, rows - 1)], fit(more, min(cells, width(more)))]


def _tree_row(left: Sequence[Line], right: Sequence[Line], y: int, here: Line, side: int) -> Line:
    """Row ``y`` of two combs, whose handles meet in row 0."""
    into, out = _comb(y, len(left), "┬┤┘"), _comb(y, len(right), "┬├└")
    return (
        *fit(left[y] if y < len(left) else EMPTY, side, right=True),
        *line((" " + into + ("─▶ " if y == 0 else "   "), Tone.MUTED)),
        *here,
        *line((("─" if y == 0 else " ") + out, Tone.MUTED)),
        *line(("▶ " if y < len(right) else "  ", Tone.MUTED)),
        *(right[y] if y < len(right) else EMPTY),
    )


def _comb(y: int, teeth: int, first_middle_last: str) -> str:
    """The character where row ``y``'s tooth meets the spine."""
    if y >= teeth:
        return " "
    if teeth == 1:
        return "─"
    return first_middle_last[0 if y == 0 else 2 if y == teeth - 1 else 1]
