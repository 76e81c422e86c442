"""Manifests and tags that this node has seen: small, verified, kept in SQLite."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eagle_node.base.digest import Digest
from eagle_node.registry.names import Repository
from eagle_node.store.memory import Memory
from eagle_node.store.tables import TableStore

if TYPE_CHECKING:
    from sqlite_utils import Database as Tables

_MOST = 5000
"""Manifests kept; the least recently used go first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredManifest:
    """A manifest whose bytes have been verified."""

    digest: Digest
    media_type: str
    body: bytes = field(repr=False)


def _create(tables: Tables) -> None:
    tables.conn.execute(
        "CREATE TABLE manifest (digest TEXT PRIMARY KEY, media_type TEXT NOT NULL,"
        " body BLOB NOT NULL, used INTEGER NOT NULL)"
    )
    tables.conn.execute("CREATE INDEX manifest_used ON manifest (used)")
    tables.conn.execute(
        "CREATE TABLE tag (registry TEXT, repository TEXT, tag TEXT, digest TEXT NOT NULL,"
        " PRIMARY KEY (registry, repository, tag)) WITHOUT ROWID"
    )


class ManifestStore(TableStore):
    """The tables: a memory, so that no request fails for them."""

    MIGRATIONS = (_create,)

    def __init__(self, path: Path | None) -> None:
        super().__init__(path)
        self._memory = Memory("manifests")

    async def get(self, digest: Digest) -> StoredManifest | None:
        """A manifest by digest."""

        def work(tables: Tables) -> StoredManifest | None:
            row: Any = tables.conn.execute(
                "UPDATE manifest SET used = (SELECT max(used) + 1 FROM manifest) WHERE digest = ?"
                " RETURNING media_type, body",
                (digest,),
            ).fetchone()
            return row and StoredManifest(digest=digest, media_type=row[0], body=row[1])

        return await self._memory.attempt(self._database.write(work))

    async def put(self, manifest: StoredManifest) -> None:
        """Keep a manifest, and drop the least recently used beyond the limit."""
        row = (manifest.digest, manifest.media_type, manifest.body)
        await self._memory.attempt(
            self._execute(
                (
                    "INSERT OR REPLACE INTO manifest"
                    " SELECT ?, ?, ?, coalesce(max(used), 0) + 1 FROM manifest",
                    [row],
                ),
                (
                    "DELETE FROM manifest WHERE digest IN"
                    " (SELECT digest FROM manifest ORDER BY used DESC LIMIT -1 OFFSET ?)",
                    [(_MOST,)],
                ),
            )
        )

    async def tag(self, repository: Repository, tag: str, digest: Digest) -> None:
        """Remember what a tag names."""
        row = (repository.registry, repository.name, tag, digest)
        await self._memory.attempt(
            self._execute(("INSERT OR REPLACE INTO tag VALUES (?, ?, ?, ?)", [row]))
        )

    async def tagged(self, repository: Repository, tag: str) -> Digest | None:
        """What a tag named when it was last asked for."""
        row = await self._memory.attempt(
            self._row(
                "SELECT digest FROM tag WHERE registry = ? AND repository = ? AND tag = ?",
                *(repository.registry, repository.name, tag),
            )
        )
        return None if row is None else Digest(row[0])
