"""The memory of files."""

from __future__ import annotations

from pathlib import Path

from eagle_node.base.digest import digest_of
from eagle_node.registry.file_ref import FileFound, FileState
from eagle_node.registry.file_store import FileStore, Trusted

FOUND = FileFound(digest=digest_of(b"file"), size=4)


async def test_what_was_seen_counts_for_the_state_that_it_was_seen_in() -> None:
    """A server that gives no validator could have changed the file unseen."""
    async with FileStore(None) as store:
        await store.saw("f/a", FOUND, '"1"')
        await store.saw("f/b", FOUND, "")
        assert await store.seen("f/a") == FOUND
        assert await store.seen("f/a", FileState(size=4, validator='"1"')) == FOUND
        assert await store.seen("f/a", FileState(size=None, validator='"1"')) == FOUND
        assert await store.seen("f/a", FileState(size=5, validator='"1"')) is None
        assert await store.seen("f/a", FileState(size=4, validator='"2"')) is None
        assert await store.seen("f/b", FileState(size=4, validator="")) is None
        assert await store.seen("f/c") is None


async def test_what_is_trusted_is_kept(tmp_path: Path) -> None:
    """Over a restart, until something else is."""
    first = Trusted(digest=digest_of(b"1"), size=1, at="2026-11-21 12:00 UTC")
    second = Trusted(digest=digest_of(b"2"), size=1, at="2026-11-22 12:00 UTC")
    async with FileStore(tmp_path / "files.sqlite") as store:
        assert await store.trusted("f/a") is None
        await store.trust("f/a", first)
    async with FileStore(tmp_path / "files.sqlite") as store:
        assert await store.trusted("f/a") == first
        await store.trust("f/a", second)
        assert await store.trusted("f/a") == second
