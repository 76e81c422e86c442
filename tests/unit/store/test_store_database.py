"""Rules of `Database`, on real files."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from eagle_node.base.errors import NoSpace, StartError, Unavailable
from eagle_node.store.database import Database


def make_first(tables: Any) -> None:
    tables.conn.execute("CREATE TABLE first (value INTEGER PRIMARY KEY)")


def make_second(tables: Any) -> None:
    tables.conn.execute("CREATE TABLE second (value INTEGER)")


def fail_halfway(tables: Any) -> None:
    tables.conn.execute("CREATE TABLE half (value INTEGER)")
    raise RuntimeError("halfway")


def values(tables: Any) -> list[int]:
    return [row[0] for row in tables.conn.execute("SELECT value FROM first ORDER BY value")]


def insert(*numbers: int) -> Any:
    return lambda tables: tables.conn.executemany(
        "INSERT INTO first VALUES (?)", [(number,) for number in numbers]
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "test.sqlite"


def files(directory: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in directory.iterdir()}


def version_of(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()


async def test_each_migration_runs_once(path: Path) -> None:
    """A file keeps its rows and gets only the migrations that it has not seen."""
    async with Database(path, (make_first,)) as database:
        await database.write(insert(1))
    async with Database(path, (make_first, make_second)) as database:
        assert await database.read(values) == [1]
        assert await database.read(lambda tables: tables.table_names()) == ["first", "second"]
    assert version_of(path) == 2


async def test_a_failed_migration_leaves_the_file_at_its_version(path: Path) -> None:
    """A migration and its number are one transaction, so that it can be tried again."""
    async with Database(path, (make_first,)):
        pass
    with pytest.raises(RuntimeError, match="halfway"):
        await Database(path, (make_first, fail_halfway)).__aenter__()
    assert version_of(path) == 1
    async with Database(path, (make_first, make_second)) as database:
        assert await database.read(lambda tables: tables.table_names()) == ["first", "second"]


async def test_a_newer_file_is_refused_untouched(path: Path) -> None:
    """An older program says so and changes not a byte."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    before = files(path.parent)
    with pytest.raises(StartError, match=r"newer eagle-node \(schema 7"):
        await Database(path, (make_first,)).__aenter__()
    assert files(path.parent) == before


@pytest.mark.parametrize("content", [b"no database at all, however long " * 100, b"x" * 8192])
def test_a_file_that_is_no_database_is_a_clear_start_error(path: Path, content: bytes) -> None:
    """The error names the file and the way out."""
    path.write_bytes(content)
    with pytest.raises(StartError, match=r"test\.sqlite.*remove it"):
        asyncio.run(Database(path, (make_first,)).__aenter__())


async def test_a_directory_that_is_not_there_is_a_start_error(path: Path) -> None:
    """SQLite cannot make directories."""
    with pytest.raises(StartError, match=r"test\.sqlite"):
        await Database(path / "missing" / "file", (make_first,)).__aenter__()


async def test_pages_that_are_damaged_later_on_are_an_error_of_ours(path: Path) -> None:
    """A header that is right does not make the rest so; users of the file get `Unavailable`."""
    async with Database(path, (make_first,)) as database:
        await database.write(insert(*range(5000)))
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 40_000)
    async with Database(path, (make_first,)) as database:
        with pytest.raises(Unavailable, match=r"test\.sqlite"):
            await database.read(values)


async def test_a_transaction_that_raises_leaves_nothing(path: Path) -> None:
    """Rolled back; the next one works."""

    def work(tables: Any) -> None:
        insert(1)(tables)
        raise KeyError("changed my mind")

    async with Database(path, (make_first,)) as database:
        with pytest.raises(KeyError):
            await database.write(work)
        await database.write(insert(2))
        assert await database.read(values) == [2]


async def test_a_violated_constraint_leaves_nothing(path: Path) -> None:
    """The rows before the one that fails are rolled back with it."""
    async with Database(path, (make_first,)) as database:
        with pytest.raises(Unavailable, match="UNIQUE"):
            await database.write(insert(1, 2, 1))
        assert await database.read(values) == []


async def test_a_full_disk_is_no_space(path: Path) -> None:
    """SQLite rolls back by itself then; the error says what is full, and reading goes on."""

    def fill(tables: Any) -> None:
        tables.conn.execute("PRAGMA max_page_count = 8")
        insert(*range(100_000))(tables)

    async with Database(path, (make_first,)) as database:
        with pytest.raises(NoSpace, match="disk is full"):
            await database.write(fill)
        assert await database.read(values) == []
        await database.write(insert(3))


async def test_writers_take_turns(path: Path) -> None:
    """Concurrent read-modify-write transactions lose no update."""

    def increment(tables: Any) -> None:
        count = len(values(tables))
        insert(count)(tables)

    async with Database(path, (make_first,)) as database:
        await asyncio.gather(*(database.write(increment) for _ in range(50)))
        assert await database.read(values) == list(range(50))


async def test_a_cancelled_writer_wrote_all_or_nothing(path: Path) -> None:
    """Cancelling does not stop the thread in the middle of a transaction."""
    async with Database(path, (make_first,)) as database:
        writing = asyncio.create_task(database.write(insert(*range(20_000))))
        await asyncio.sleep(0)
        writing.cancel()
        await asyncio.wait([writing])
        assert len(await database.read(values)) in (0, 20_000)


async def test_without_a_path_it_lives_in_memory() -> None:
    """For tests, and for what needs not outlive the process."""
    async with Database(None, (make_first,)) as database:
        await database.write(insert(1))
        assert await database.read(values) == [1]
