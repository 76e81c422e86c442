"""What moves: a row for each blob, and who feeds whom."""

from __future__ import annotations

from collections.abc import Sequence

from eagle_node.api.schema import PeerShare, TransferRow
from eagle_tui.columns import Column
from eagle_tui.formats import DASH, node_name, percent, rate, short_digest, size, span
from eagle_tui.paint import EMPTY, Line, Tone, fit, join, line, middle, progress, width
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

    def told(value: int) -> str:
        return rate(value) if fresh else DASH

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
            cell=lambda row, _: line(span(row.eta_s) if fresh else DASH),
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
            fit(line(span(row.eta_s) if fresh else DASH), 9, right=True) if cells >= 60 else EMPTY,
        )
    )
    head = join((_state(row, 1), _image(row, max(8, cells - width(tail) - 4))), gap=" ")
    return (*fit(head, max(0, cells - width(tail) - 1)), *line(" "), *tail)


def tree(row: TransferRow | None, world: World, now: float, cells: int, rows: int) -> list[Line]:
    """Sources on the left, this node in the middle, those that it feeds on the right."""
    if row is None:
        return [line(("Nothing moves now.", Tone.MUTED))]
    fresh = world.is_fresh(now)
    side = max(18, min(44, (cells - 30) // 2))
    left = _sources(row, side, fresh)
    right = [_peer(each, side, fresh, arrow="↑") for each in row.children]
    right = right or [line(("no other node yet", Tone.MUTED))]
    left, right = _cut(left, rows, side), _cut(right, rows, side)
    name = world.status.node.id if world.status is not None else "this node"
    room = max(10, cells - 2 * side - 10)
    here = line(
        (node_name(name, max(8, room - 7)), Tone.STRONG),
        (f" {percent(share(row))} ", tone_of(row)),
    )
    return [
        _tree_row(left, right, y, here if y == 0 else fit(EMPTY, width(here)), side)
        for y in range(max(len(left), len(right)))
    ]


def tree_title(row: TransferRow | None) -> str:
    """What the tree is of."""
    if row is None:
        return "who feeds whom"
    image = f"{row.image} " if row.image else ""
    return f"{image}{short_digest(row.digest)}"


def matches(row: TransferRow, text: str) -> bool:
    """Whether a search for ``text`` finds it."""
    text = text.lower()
    return text in row.image.lower() or text in row.digest


def _state(row: TransferRow, _: int) -> Line:
    glyph, tone = _STATES.get(row.state, ("?", Tone.WARN))
    return line((glyph, tone_of(row) if row.state == "fetching" else tone))


def _image(row: TransferRow, cells: int) -> Line:
    if row.image:
        return line((middle(row.image, cells), Tone.TEXT))
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


def _sources(row: TransferRow, cells: int, fresh: bool) -> list[Line]:
    if row.state == "sending":
        return [line(("this node's cache", Tone.LOCAL))]
    lines = [_peer(each, cells, fresh, arrow="↓") for each in row.sources]
    if row.source == "origin":
        lines.insert(0, line(("the registry", Tone.ORIGIN)))
    return lines or [line(("no source yet", Tone.WARN))]


def _peer(peer: PeerShare, cells: int, fresh: bool, *, arrow: str) -> Line:
    told = line((f" {arrow} ", Tone.SWARM), (rate(peer.rate) if fresh else DASH, Tone.MUTED))
    name = node_name(peer.node or peer.address, max(8, cells - width(told) - 1))
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
