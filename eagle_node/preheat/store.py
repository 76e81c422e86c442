"""Jobs in SQLite: they survive a restart."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from eagle_node.api.codec import from_json, to_json
from eagle_node.api.schema import PreheatJob
from eagle_node.store.tables import TableStore

if TYPE_CHECKING:
    from sqlite_utils import Database as Tables

KEPT = 200
"""Jobs that have ended and are still told of; the oldest go first."""


def _create(tables: Tables) -> None:
    tables.conn.execute(
        "CREATE TABLE job (id INTEGER PRIMARY KEY AUTOINCREMENT, document TEXT NOT NULL)"
    )


class JobStore(TableStore):
    """The table of jobs."""

    MIGRATIONS = (_create,)

    async def load(self) -> list[PreheatJob]:
        """All jobs, oldest first."""
        rows = await self._rows("SELECT document FROM job ORDER BY id")
        return [from_json(PreheatJob, json.loads(document)) for (document,) in rows]

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
        await self._execute(
            ("INSERT OR REPLACE INTO job VALUES (?, ?)", [(job.id, json.dumps(to_json(job)))]),
            ("DELETE FROM job WHERE id <= ?", [(job.id - KEPT,)]),
        )
