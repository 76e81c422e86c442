"""What parts that keep tables in a file of their own have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from eagle_node.store.database import Database, Migration

Statement = tuple[str, Sequence[tuple[object, ...]]]
"""SQL, and the rows of values that it runs with, once each."""


class TableStore:
    """Tables in one SQLite file; an async context manager. ``path`` None: in memory.

    Every method of a store is one transaction; errors are those of `Database`.
    """

    MIGRATIONS: ClassVar[Sequence[Migration]]

    def __init__(self, path: Path | None) -> None:
        self._database = Database(path, self.MIGRATIONS)

    async def __aenter__(self) -> Self:
        await self._database.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._database.__aexit__(*error)

    async def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return await self._database.read(lambda tables: list(tables.conn.execute(query, values)))

    async def _row(self, query: str, *values: object) -> tuple[Any, ...] | None:
        return next(iter(await self._rows(query, *values)), None)

    async def _execute(self, *statements: Statement) -> None:
        def work(tables: Any) -> None:
            for statement, rows in statements:
                tables.conn.executemany(statement, rows)

        await self._database.write(work)
