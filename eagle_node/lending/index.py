"""Which files of the store were verified, and their piece hashes, in SQLite."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Self

from eagle_node.base.digest import Digest
from eagle_node.blobs.files import boot_and_layout
from eagle_node.blobs.lent import FileIdentity
from eagle_node.store.tables import TableStore

if TYPE_CHECKING:
    from sqlite_utils import Database as Tables


def _create(tables: Tables) -> None:
    tables.conn.execute(
        "CREATE TABLE verified (digest TEXT PRIMARY KEY, device INTEGER NOT NULL,"
        " inode INTEGER NOT NULL, size INTEGER NOT NULL, modified INTEGER NOT NULL,"
        " changed INTEGER NOT NULL, layers BLOB NOT NULL, boot TEXT NOT NULL) WITHOUT ROWID"
    )


class Index(TableStore):
    """The table. What an earlier boot has verified is forgotten: a crash may have torn it since.

    So are the hashes of another layout's pieces.
    """

    MIGRATIONS = (_create,)

    def __init__(self, path: Path | None) -> None:
        super().__init__(path)
        self._written_by = boot_and_layout()

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        try:
            await self._execute(("DELETE FROM verified WHERE boot <> ?", [(self._written_by,)]))
        except BaseException:
            await super().__aexit__()
            raise
        return self

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
        row = await self._row("SELECT layers FROM verified WHERE digest = ?", digest)
        return None if row is None else bytes(row[0])

    async def verified(self, digest: Digest, identity: FileIdentity, layers: bytes) -> None:
        """A file has the digest of its name."""
        row = (
            digest,
            identity.device,
            identity.inode,
            identity.size,
            identity.modified_ns,
            identity.changed_ns,
            layers,
            self._written_by,
        )
        await self._execute(
            ("INSERT OR REPLACE INTO verified VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [row])
        )

    async def forget(self, digests: Collection[Digest]) -> None:
        """Files are gone, or are others."""
        rows = [(digest,) for digest in digests]
        await self._execute(("DELETE FROM verified WHERE digest = ?", rows))
