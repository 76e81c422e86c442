"""What the cache remembers of blobs on their way."""

from __future__ import annotations

from pathlib import Path

from eagle_node.base.digest import digest_of
from eagle_node.blobs.index import Index
from eagle_node.blobs.segments import LAYOUT_VERSION

DIGEST = digest_of(b"a blob")


async def test_segments_of_another_layout_are_forgotten(tmp_path: Path) -> None:
    """After an upgrade in the middle of a pull equal numbers, and sizes, may name other bytes."""
    path = tmp_path / "index.sqlite"
    async with Index(path, layout=LAYOUT_VERSION - 1) as before:
        await before.begin(DIGEST, 64 << 20)
        await before.segments_verified(DIGEST, [60])
        assert [row.segments for row in await before.arriving()] == [{60}]
    async with Index(path) as after:
        assert await after.arriving() == []
