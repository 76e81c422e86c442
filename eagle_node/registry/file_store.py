"""What files of web servers were when they were fetched, by `FileRef.name`, in SQLite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eagle_node.base.digest import Digest
from eagle_node.registry.file_ref import FileFound, FileState
from eagle_node.store.tables import TableStore

if TYPE_CHECKING:
    from sqlite_utils import Database as Tables

_MOST_SEEN = 20_000
"""Files whose state is remembered; those seen first go first. What is trusted is never dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """What a file was at its first fetch, which it is held to."""

    digest: Digest
    size: int
    at: str
    """When that was, in UTC, for people."""


def _create(tables: Tables) -> None:
    tables.conn.execute(
        "CREATE TABLE seen (name TEXT PRIMARY KEY, digest TEXT NOT NULL, size INTEGER NOT NULL,"
        " validator TEXT NOT NULL)"
    )
    tables.conn.execute(
        "CREATE TABLE trusted (name TEXT PRIMARY KEY, digest TEXT NOT NULL, size INTEGER NOT NULL,"
        " at TEXT NOT NULL) WITHOUT ROWID"
    )


class FileStore(TableStore):
    """What was seen, and what is trusted; `Unavailable` while the file cannot be used."""

    MIGRATIONS = (_create,)

    async def seen(self, name: str, state: FileState | None = None) -> FileFound | None:
        """What the file was when it was last fetched, if it is still in that ``state`` (any)."""
        row = await self._row("SELECT digest, size, validator FROM seen WHERE name = ?", name)
        if row is None:
            return None
        digest, size, validator = row
        same = state is None or (
            bool(state.validator) and state.validator == validator and state.size in (None, size)
        )
        return FileFound(digest=Digest(digest), size=size) if same else None

    async def saw(self, name: str, found: FileFound, validator: str) -> None:
        """Remember what the file was when its server gave ``validator`` for it."""
        row = (name, found.digest, found.size, validator)
        await self._execute(
            ("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)", [row]),
            (
                "DELETE FROM seen WHERE rowid <= (SELECT max(rowid) FROM seen) - ?",
                [(_MOST_SEEN,)],
            ),
        )

    async def trusted(self, name: str) -> Trusted | None:
        """What the file is held to; None: it was never fetched by name."""
        row = await self._row("SELECT digest, size, at FROM trusted WHERE name = ?", name)
        return None if row is None else Trusted(digest=Digest(row[0]), size=row[1], at=row[2])

    async def trust(self, name: str, what: Trusted) -> None:
        """Hold the file to ``what`` from now on."""
        row = (name, what.digest, what.size, what.at)
        await self._execute(("INSERT OR REPLACE INTO trusted VALUES (?, ?, ?, ?)", [row]))
