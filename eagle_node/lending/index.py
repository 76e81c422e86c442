"""Which files of the store were verified, and their piece hashes, in SQLite."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from eagle_node.base.digest import Digest
from eagle_node.blobs.files import boot_id
from eagle_node.blobs.lent import FileIdentity
from eagle_node.store.database import Database

if TYPE_CHECKING:
    from sqlite_utils import Database as Tables


def _create(tables: Tables) -> None:
    tables.conn.execute(
        "CREATE TABLE verified (digest TEXT PRIMARY KEY, device INTEGER NOT NULL,"
        " inode INTEGER NOT NULL, size INTEGER NOT NULL, modified INTEGER NOT NULL,"
        " changed INTEGER NOT NULL, layers BLOB NOT NULL, boot TEXT NOT NULL) WITHOUT ROWID"
    )


MIGRATIONS = (_create,)


class Index:
    """The table. What an earlier boot has verified is forgotten: a crash may have torn it since."""

    def __init__(self, path: Path | None) -> None:
        self._database = Database(path, MIGRATIONS)
        self._boot = boot_id()

    async def __aenter__(self) -> Self:
        await self._database.__aenter__()
        await self._write("DELETE FROM verified WHERE boot <> ?", self._boot)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._database.__aexit__(*error)

    async def identities(self) -> dict[Digest, FileIdentity]:
        """Every file that was verified."""
        rows = await self._rows(
            "SELECT digest, device, inode, size, modified, changed FROM verified"
        )
        return {
            Digest(digest): FileIdentity(
                device=device, inode=inode, size=size, modified_ns=modified, changed_ns=changed
            )
            for digest, device, inode, size, modified, changed in rows
        }

    async def layers(self, digest: Digest) -> bytes | None:
        """The piece hashes of a blob that was verified; None when it is not known."""
        rows = await self._rows("SELECT layers FROM verified WHERE digest = ?", digest)
        return bytes(rows[0][0]) if rows else None

    async def verified(self, digest: Digest, identity: FileIdentity, layers: bytes) -> None:
        """A file has the digest of its name."""
        await self._write(
            "INSERT OR REPLACE INTO verified VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            digest,
            identity.device,
            identity.inode,
            identity.size,
            identity.modified_ns,
            identity.changed_ns,
            layers,
            self._boot,
        )

    async def forget(self, digests: Collection[Digest]) -> None:
        """Files are gone, or are others."""

        def work(tables: Tables) -> None:
            rows = [(digest,) for digest in digests]
            tables.conn.executemany("DELETE FROM verified WHERE digest = ?", rows)

        await self._database.write(work)

    async def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return await self._database.read(lambda tables: list(tables.conn.execute(query, values)))

    async def _write(self, statement: str, *values: object) -> None:
        def work(tables: Tables) -> None:
            # fetchall runs the statement to its end; a cursor left open would block the commit.
            tables.conn.execute(statement, values).fetchall()

        await self._database.write(work)
