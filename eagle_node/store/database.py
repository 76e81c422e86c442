"""One SQLite file behind one thread."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from eagle_node.base.errors import StartError

if TYPE_CHECKING:
    from sqlite_utils import Database as Tables

T = TypeVar("T")
Migration = Callable[["Tables"], None]
"""Changes the schema from one version to the next."""


class Database:
    """A SQLite file whose every use runs in one thread, in order, each in one transaction.

    ``migrations`` is append-only: a file at version ``n`` (``PRAGMA user_version``) gets those
    after the n-th. A file of a newer version is refused with `StartError`, untouched.
    """

    def __init__(self, path: Path | None, migrations: Sequence[Migration]) -> None:
        self._path = path
        self._migrations = migrations
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")
        self._tables: Tables | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._submit(self._open)
        except BaseException:
            self._thread.shutdown()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._submit(self._close)
        self._thread.shutdown()

    async def write(self, work: Callable[[Tables], T]) -> T:
        """Run ``work`` in a ``BEGIN IMMEDIATE`` transaction; committed, or rolled back if it raises."""
        return await self._submit(lambda: self._transaction(work))

    async def read(self, work: Callable[[Tables], T]) -> T:
        """Run ``work``, which only reads."""
        return await self._submit(lambda: work(self._opened()))

    async def _submit(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _opened(self) -> Tables:
        assert self._tables is not None, "used outside of its `async with`"
        return self._tables

    def _transaction(self, work: Callable[[Tables], T]) -> T:
        tables = self._opened()
        tables.conn.execute("BEGIN IMMEDIATE")
        try:
            result = work(tables)
        except BaseException:
            tables.conn.execute("ROLLBACK")
            raise
        tables.conn.execute("COMMIT")
        return result

    def _open(self) -> None:
        from sqlite_utils import Database as Tables

        name = ":memory:" if self._path is None else str(self._path)
        try:
            connection = sqlite3.connect(name, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        except sqlite3.Error as error:
            raise StartError(f"cannot open {name}: {error}") from error
        if version > len(self._migrations):
            connection.close()
            raise StartError(
                f"{name} was written by a newer eagle-node (schema {version}, this one knows "
                f"{len(self._migrations)}); upgrade, or choose another --data-dir"
            )
        self._tables = Tables(connection)
        for number, migrate in enumerate(self._migrations[version:], version + 1):
            self._transaction(migrate)
            connection.execute(f"PRAGMA user_version = {number}")

    def _close(self) -> None:
        if self._tables is not None:
            self._tables.conn.close()
            self._tables = None
