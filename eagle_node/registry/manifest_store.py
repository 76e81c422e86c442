"""Manifests and tags that this node has seen: small, verified, kept in SQLite."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from eagle_node.base.digest import Digest
from eagle_node.base.errors import Unavailable
from eagle_node.registry.names import Repository
from eagle_node.store.database import Database

if TYPE_CHECKING:
    from sqlite_utils import Database as Tables

T = TypeVar("T")

log = logging.getLogger(__name__)

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


class ManifestStore:
    """An async context manager over the tables.

    A memory, not a source of truth: while the file cannot be used (full disk) nothing is kept or
    found, which is logged when it begins and when it ends, and no request fails for it.
    """

    def __init__(self, path: Path | None) -> None:
        self._database = Database(path, (_create,))
        self._works = True

    async def __aenter__(self) -> Self:
        await self._database.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._database.__aexit__(*error)

    async def get(self, digest: Digest) -> StoredManifest | None:
        """A manifest by digest."""

        def work(tables: Tables) -> StoredManifest | None:
            row: Any = tables.conn.execute(
                "UPDATE manifest SET used = (SELECT max(used) + 1 FROM manifest) WHERE digest = ?"
                " RETURNING media_type, body",
                (digest,),
            ).fetchone()
            return row and StoredManifest(digest=digest, media_type=row[0], body=row[1])

        return await self._attempt(self._database.write(work))

    async def put(self, manifest: StoredManifest) -> None:
        """Keep a manifest, and drop the least recently used beyond the limit."""

        def work(tables: Tables) -> None:
            tables.conn.execute(
                "INSERT OR REPLACE INTO manifest"
                " SELECT ?, ?, ?, coalesce(max(used), 0) + 1 FROM manifest",
                (manifest.digest, manifest.media_type, manifest.body),
            )
            tables.conn.execute(
                "DELETE FROM manifest WHERE digest IN"
                " (SELECT digest FROM manifest ORDER BY used DESC LIMIT -1 OFFSET ?)",
                (_MOST,),
            )

        await self._attempt(self._database.write(work))

    async def tag(self, repository: Repository, tag: str, digest: Digest) -> None:
        """Remember what a tag names."""
        row = (repository.registry, repository.name, tag, digest)
        await self._attempt(
            self._database.write(
                lambda tables: tables.conn.execute(
                    "INSERT OR REPLACE INTO tag VALUES (?, ?, ?, ?)", row
                )
            )
        )

    async def tagged(self, repository: Repository, tag: str) -> Digest | None:
        """What a tag named when it was last asked for."""
        key = (repository.registry, repository.name, tag)
        row: Any = await self._attempt(
            self._database.read(
                lambda tables: tables.conn.execute(
                    "SELECT digest FROM tag WHERE registry = ? AND repository = ? AND tag = ?", key
                ).fetchone()
            )
        )
        return row and Digest(row[0])

    async def _attempt(self, use: Awaitable[T]) -> T | None:
        """The result of ``use``; None when the file cannot be used."""
        try:
            result = await use
        except Unavailable as error:
            if self._works:
                log.warning("manifests are not remembered: %s", error)
            self._works = False
            return None
        if not self._works:
            log.info("manifests are remembered again")
        self._works = True
        return result
