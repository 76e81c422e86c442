"""Jobs in SQLite: they survive a restart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Self

from eagle_node.api.codec import from_json, to_json
from eagle_node.api.schema import PreheatJob
from eagle_node.store.database import Database

if TYPE_CHECKING:
    from sqlite_utils import Database as Tables

KEPT = 200
"""Jobs that have ended and are still told of; the oldest go first."""


def _create(tables: Tables) -> None:
    tables.conn.execute(
        "CREATE TABLE job (id INTEGER PRIMARY KEY AUTOINCREMENT, document TEXT NOT NULL)"
    )


class JobStore:
    """An async context manager over the table; ``path`` None: in memory."""

    def __init__(self, path: Path | None) -> None:
        self._database = Database(path, (_create,))

    async def __aenter__(self) -> Self:
        await self._database.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._database.__aexit__(*error)

    async def load(self) -> list[PreheatJob]:
        """All jobs, oldest first."""

        def work(tables: Tables) -> list[str]:
            rows = tables.conn.execute("SELECT document FROM job ORDER BY id").fetchall()
            return [document for (document,) in rows]

        return [from_json(PreheatJob, json.loads(text)) for text in await self._database.read(work)]

    async def next_number(self) -> int:
        """A number that no job has had."""

        def work(tables: Tables) -> int:
            cursor = tables.conn.execute("INSERT INTO job (document) VALUES ('')")
            number = int(cursor.lastrowid or 0)
            tables.conn.execute("DELETE FROM job WHERE id = ?", (number,))
            return number

        return await self._database.write(work)

    async def save(self, job: PreheatJob) -> None:
        """Keep a job as it is, and forget the oldest beyond the limit."""
        document = json.dumps(to_json(job))

        def work(tables: Tables) -> None:
            tables.conn.execute("INSERT OR REPLACE INTO job VALUES (?, ?)", (job.id, document))
            tables.conn.execute("DELETE FROM job WHERE id <= ?", (job.id - KEPT,))

        await self._database.write(work)
