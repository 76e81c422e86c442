"""One SQLite file behind one thread."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from eagle_node.base.errors import NoSpace, StartError, Unavailable

if TYPE_CHECKING:
    from sqlite_utils import Database as Tables

T = TypeVar("T")

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_PRIMARY_CODE = 0xFF
"""Bits of an extended result code that hold the primary one (sqlite.org/rescode.html)."""
_LEAST_ROOM = 256 << 10
"""Bytes that opening a database may take: its log, the index of it, a page or two."""

Migration = Callable[["Tables"], None]
"""Changes the schema from one version to the next."""


class Damaged(StartError):
    """The file is not what SQLite wrote."""


class Database:
    """A SQLite file whose every use runs in one thread, in order, each in one transaction.

    ``migrations`` is append-only: a file at version ``n`` (``PRAGMA user_version``) gets those
    after the n-th, each in one transaction with its number. A file of a newer version is refused
    with `StartError`, untouched. SQLite's own errors are `NoSpace` when the disk is full, else
    `Unavailable`; while opening they are `StartError`, of a file that is broken `Damaged`.

    ``durable``: a write that has returned survives a power failure (``synchronous = FULL``), every
    page is checked at the start, and no other process may use the file meanwhile. Otherwise a power
    failure may undo the last writes.
    """

    def __init__(
        self, path: Path | None, migrations: Sequence[Migration], *, durable: bool = False
    ) -> None:
        self._path = path
        self._durable = durable
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
        try:
            await self._submit(self._close)
        finally:
            self._thread.shutdown()

    async def write(self, work: Callable[[Tables], T]) -> T:
        """Run ``work`` in a ``BEGIN IMMEDIATE`` transaction, rolled back if it raises."""
        return await self._submit(lambda: self._transaction(work))

    async def read(self, work: Callable[[Tables], T]) -> T:
        """Run ``work``, which only reads."""
        return await self._submit(lambda: self._read(work))

    async def _submit(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    @property
    def _name(self) -> str:
        return ":memory:" if self._path is None else str(self._path)

    def _read(self, work: Callable[[Tables], T]) -> T:
        with self._translated():
            return work(self._opened())

    def _opened(self) -> Tables:
        assert self._tables is not None, "used outside of its `async with`"
        return self._tables

    def _transaction(self, work: Callable[[Tables], T]) -> T:
        tables = self._opened()
        with self._translated():
            tables.conn.execute("BEGIN IMMEDIATE")
            try:
                result = work(tables)
                tables.conn.execute("COMMIT")
            except BaseException:
                if tables.conn.in_transaction:
                    tables.conn.execute("ROLLBACK")
                raise
        return result

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                raise NoSpace(f"the disk is full: cannot write {self._name}") from error
            raise Unavailable(f"{self._name}: {error}") from error

    def _open(self) -> None:
        from sqlite_utils import Database as Tables

        try:
            with ExitStack() as stack:
                connection = sqlite3.connect(
                    self._name, isolation_level=None, check_same_thread=False
                )
                stack.callback(connection.close)
                if self._durable:
                    # Without shared memory, which a full disk could not back.
                    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                version = int(connection.execute("PRAGMA user_version").fetchone()[0])
                self._refuse_newer(version)
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute(f"PRAGMA synchronous = {'FULL' if self._durable else 'NORMAL'}")
                if self._durable:
                    self._check_pages(connection)
                self._tables = Tables(connection)
                self._migrate(version)
                stack.pop_all()
        except (sqlite3.Error, Unavailable) as error:
            self._tables = None
            code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
            raise (Damaged if code in _DAMAGED else StartError)(
                f"cannot use the database {self._name}: {error}; {self._way_out()}"
            ) from error

    def _way_out(self) -> str:
        """SQLite calls a disk that is full an I/O error while it opens a file."""
        with suppress(OSError):
            if shutil.disk_usage(Path(self._name).parent).free < _LEAST_ROOM:
                return "its disk is full: make room there, or choose another --data-dir"
        return "if it is damaged, remove it or choose another --data-dir"

    def _check_pages(self, connection: sqlite3.Connection) -> None:
        found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        if found != "ok":
            raise Damaged(f"the database {self._name} is damaged: {found}")

    def _refuse_newer(self, version: int) -> None:
        if version > len(self._migrations):
            raise StartError(
                f"{self._name} was written by a newer eagle-node (schema {version}, this one knows "
                f"{len(self._migrations)}); upgrade, or choose another --data-dir"
            )

    def _migrate(self, version: int) -> None:
        for number, migrate in enumerate(self._migrations[version:], version + 1):

            def step(tables: Tables, migrate: Migration = migrate, number: int = number) -> None:
                migrate(tables)
                tables.conn.execute(f"PRAGMA user_version = {number}")

            self._transaction(step)

    def _close(self) -> None:
        if self._tables is not None:
            self._tables.conn.close()
            self._tables = None
