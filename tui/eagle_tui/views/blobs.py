"""What the cache holds."""

from __future__ import annotations

from eagle_node.api.schema import BlobRow
from eagle_tui.columns import Column
from eagle_tui.formats import DASH, count, image_name, percent, short_digest, size
from eagle_tui.paint import Line, Tone, fit, line, progress
from eagle_tui.world import World


def columns() -> list[Column[BlobRow]]:
    """Of the table; the node sorts it, as it knows all rows and the page some."""
    return [
        Column(
            name="image",
            title="image",
            cells=24,
            grows=3,
            cell=_image,
            sort=lambda row: row.image,
        ),
        Column(
            name="digest",
            title="digest",
            cells=12,
            grows=1,
            most=71,
            cell=_digest,
            sort=lambda row: row.digest,
        ),
        Column(
            name="size",
            title="size",
            cells=10,
            right=True,
            cell=lambda row, _: line(size(row.size)),
            sort=lambda row: row.size,
        ),
        Column(name="here", title="here", cells=12, grows=1, most=24, cell=_here, drop=2),
        Column(name="pinned", title="pinned", cells=8, cell=_pinned),
    ]


def details(row: BlobRow) -> list[tuple[str, str]]:
    """All that is known of one."""
    here = "whole" if row.whole else f"{size(row.have_bytes)} of {size(row.size)}"
    return [
        ("image", row.image or "not known: no client has asked for one since the start"),
        ("digest", row.digest),
        ("size", f"{size(row.size)} ({row.size:,} bytes)"),
        ("here", f"{here}, in the {'cache' if row.source == 'cache' else row.source}"),
        ("pinned", "yes: it stays until it is unpinned" if row.pinned else "no"),
    ]


def told(world: World, text: str) -> str:
    """How many there are, for the table's frame."""
    if (refusal := world.refused.get("blobs")) is not None:
        return refusal
    blobs = world.blobs
    found = f" with {text!r}" if text else ""
    all_of_them = f"{count(blobs.total, 'blob')}{found}, {size(blobs.total_bytes)}"
    if len(blobs.blobs) < blobs.total:
        return f"{all_of_them}: the first {len(blobs.blobs):,} are shown, search for others"
    return all_of_them


def _image(row: BlobRow, cells: int) -> Line:
    return line((image_name(row.image, cells) if row.image else DASH, Tone.TEXT))


def _digest(row: BlobRow, cells: int) -> Line:
    digest = row.digest if cells >= len(row.digest) else short_digest(row.digest)
    return line((digest, Tone.MUTED))


def _here(row: BlobRow, cells: int) -> Line:
    if row.whole:
        return line(("● ", Tone.GOOD), ("whole", Tone.MUTED))
    share = row.have_bytes / row.size if row.size else 0.0
    return (
        *progress(share, max(1, cells - 6), Tone.SWARM),
        *fit(line(percent(share)), 6, right=True),
    )


def _pinned(row: BlobRow, _: int) -> Line:
    return line(("⚑ pinned", Tone.ACCENT)) if row.pinned else line((DASH, Tone.FAINT))
