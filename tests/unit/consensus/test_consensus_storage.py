"""What the disk keeps, and what happens when it does not."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from eagle_node.base.errors import NoSpace, StartError
from eagle_node.base.ids import NodeId
from eagle_node.consensus.raft_events import Persist
from eagle_node.consensus.records import Configuration, Durable, Identity, Lineage, Snapshot
from eagle_node.consensus.storage import Storage, Stored
from tests.unit.consensus.builders import entries, entry, member, voter

NODE = NodeId(f"{1:032x}")
IDENTITY = Identity(member=member(1), lineage=Lineage(cluster="c" * 32, created_ms=5))
SNAPSHOT = Snapshot(index=1, configuration=Configuration(voters=(voter(1), voter(2))))


def change(*, keep_below: int | None = None, snapshot: Snapshot | None = None) -> Persist:
    new = entries(3, 3, first=keep_below) if keep_below else ()
    return Persist(term=3, vote=member(2), keep_below=keep_below, entries=new, snapshot=snapshot)


async def test_everything_outlives_a_restart(tmp_path: Path) -> None:
    """Identity, term, vote, snapshot and entries; a conflicting tail is replaced."""
    path = tmp_path / "consensus.sqlite"
    async with Storage(path, NODE) as storage:
        assert await storage.load() is None
        await storage.begin(IDENTITY, SNAPSHOT)
        await storage.persist(change(keep_below=2))
        await storage.persist(change(keep_below=3))
    async with Storage(path, NODE) as storage:
        durable = Durable(
            term=3,
            vote=member(2),
            snapshot=SNAPSHOT,
            entries=(entry(2, 3), entry(3, 3), entry(4, 3)),
        )
        assert await storage.load() == Stored(identity=IDENTITY, durable=durable)


async def test_a_snapshot_replaces_the_entries_that_it_covers(tmp_path: Path) -> None:
    """Those after it stay."""
    later = Snapshot(index=2, term=3, configuration=SNAPSHOT.configuration)
    async with Storage(tmp_path / "f", NODE) as storage:
        await storage.begin(IDENTITY, SNAPSHOT)
        await storage.persist(change(keep_below=2))
        await storage.persist(change(snapshot=later))
        stored = await storage.load()
    assert stored is not None
    assert stored.durable.snapshot == later
    assert stored.durable.entries == (entry(3, 3),)


def spoil_header(path: Path) -> None:
    path.write_bytes(b"nonsense" * 1000)


def spoil_pages(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))


def spoil_entries(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM entries WHERE number = 2")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("spoil", [spoil_header, spoil_pages, spoil_entries])
async def test_a_damaged_file_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: object
) -> None:
    """It is renamed, which is said, and nothing of it is believed."""
    path = tmp_path / "consensus.sqlite"
    async with Storage(path, NODE) as storage:
        await storage.begin(IDENTITY, SNAPSHOT)
        await storage.persist(change(keep_below=2))
    assert callable(spoil)
    spoil(path)
    async with Storage(path, NODE) as storage:
        assert await storage.load() is None
    assert (tmp_path / "consensus.sqlite.damaged-1").exists()
    assert "damaged-1" in caplog.text


async def test_another_nodes_file_is_set_aside(tmp_path: Path) -> None:
    """Its promises are not this node's."""
    async with Storage(tmp_path / "f", NODE) as storage:
        await storage.begin(IDENTITY, SNAPSHOT)
    async with Storage(tmp_path / "f", NodeId("f" * 32)) as storage:
        assert await storage.load() is None


async def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    """Untouched, with the way out."""
    path = tmp_path / "f"
    async with Storage(path, NODE) as storage:
        await storage.begin(IDENTITY, SNAPSHOT)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StartError, match="newer eagle-node"):
        await Storage(path, NODE).__aenter__()
    assert path.exists()


async def test_a_full_disk_keeps_what_was_stored(tmp_path: Path) -> None:
    """The write that fails leaves nothing behind; with room again writes go on."""
    async with Storage(tmp_path / "f", NODE) as storage:
        await storage.begin(IDENTITY, SNAPSHOT)
        database = storage._database  # noqa: SLF001
        await database.read(lambda tables: tables.conn.execute("PRAGMA max_page_count = 1"))
        with pytest.raises(NoSpace, match="disk is full"):
            await storage.probe()
        stored = await storage.load()
        assert stored is not None
        assert stored.durable.entries == ()
        await database.read(lambda tables: tables.conn.execute("PRAGMA max_page_count = 9999"))
        await storage.probe()
        await storage.persist(change(keep_below=2))


async def test_writes_are_synchronous(tmp_path: Path) -> None:
    """FULL (2): each commit reaches the disk before it returns."""
    async with Storage(tmp_path / "f", NODE) as storage:
        database = storage._database  # noqa: SLF001
        level = await database.read(
            lambda tables: tables.conn.execute("PRAGMA synchronous").fetchone()[0]
        )
        assert level == 2
