"""What the cache holds, in SQLite: committed blobs, and the verified segments of arriving ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eagle_node.base.digest import Digest
from eagle_node.base.ranges import ByteRange
from eagle_node.blobs.files import boot_and_layout, boot_id
from eagle_node.blobs.segments import LAYOUT_VERSION
from eagle_node.store.tables import TableStore

if TYPE_CHECKING:
    from sqlite_utils import Database as Tables


_BYTES = ("committed", "arriving", "segment")
"""Tables of what is here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedRow:
    """A whole blob."""

    digest: Digest
    size: int
    used: int
    durable: bool
    """Known to have survived a power loss: flushed, or committed since this boot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivingRow:
    """A blob on its way, and which of its segments have been verified since this boot."""

    digest: Digest
    size: int
    segments: frozenset[int]
    parts: tuple[ByteRange, ...] = ()
    """Bytes of other segments; known in memory only."""


def _create(tables: Tables) -> None:
    for statement in (
        "CREATE TABLE committed (digest TEXT PRIMARY KEY, size INTEGER NOT NULL,"
        " used INTEGER NOT NULL, boot TEXT) WITHOUT ROWID",
        "CREATE TABLE arriving (digest TEXT PRIMARY KEY, size INTEGER NOT NULL,"
        " boot TEXT NOT NULL) WITHOUT ROWID",
        "CREATE TABLE segment (digest TEXT, number INTEGER, PRIMARY KEY (digest, number))"
        " WITHOUT ROWID",
    ):
        tables.conn.execute(statement)


def _add_pins(tables: Tables) -> None:
    tables.conn.execute("CREATE TABLE pinned (digest TEXT PRIMARY KEY) WITHOUT ROWID")


class Index(TableStore):
    """The tables of one cache."""

    MIGRATIONS = (_create, _add_pins)

    def __init__(self, path: Path | None, *, layout: int = LAYOUT_VERSION) -> None:
        """``layout``: what the numbers of segments refer to."""
        super().__init__(path)
        self._boot = boot_id()
        self._written_by = boot_and_layout(layout)
        """What arrives."""

    async def committed(self) -> list[CommittedRow]:
        """All whole blobs."""
        rows = await self._rows("SELECT digest, size, used, boot FROM committed")
        return [
            CommittedRow(
                digest=Digest(digest), size=size, used=used, durable=boot in (None, self._boot)
            )
            for digest, size, used, boot in rows
        ]

    async def arriving(self) -> list[ArrivingRow]:
        """All blobs on their way that this boot wrote in this layout; other ones are deleted."""
        await self._execute(
            ("DELETE FROM arriving WHERE boot <> ?", [(self._written_by,)]),
            ("DELETE FROM segment WHERE digest NOT IN (SELECT digest FROM arriving)", [()]),
        )
        rows = await self._rows(
            "SELECT a.digest, a.size, s.number FROM arriving a LEFT JOIN segment s"
            " ON s.digest = a.digest"
        )
        found: dict[tuple[str, int], set[int]] = {}
        for digest, size, number in rows:
            numbers = found.setdefault((digest, size), set())
            if number is not None:
                numbers.add(number)
        return [
            ArrivingRow(digest=Digest(digest), size=size, segments=frozenset(numbers))
            for (digest, size), numbers in found.items()
        ]

    async def begin(self, digest: Digest, size: int) -> None:
        """A blob starts to arrive (again)."""
        await self._execute(
            (
                "DELETE FROM segment WHERE digest = ? AND digest NOT IN"
                " (SELECT digest FROM arriving WHERE size = ? AND boot = ?)",
                [(digest, size, self._written_by)],
            ),
            (
                "INSERT OR REPLACE INTO arriving VALUES (?, ?, ?)",
                [(digest, size, self._written_by)],
            ),
        )

    async def segments_verified(self, digest: Digest, numbers: Iterable[int]) -> None:
        """These segments of an arriving blob are whole and verified."""
        await self._execute(
            ("INSERT OR IGNORE INTO segment VALUES (?, ?)", [(digest, n) for n in numbers])
        )

    async def segments_lost(self, digest: Digest, numbers: Iterable[int]) -> None:
        """These segments of an arriving blob are not here any more."""
        await self._execute(
            ("DELETE FROM segment WHERE digest = ? AND number = ?", [(digest, n) for n in numbers])
        )

    async def commit(self, digest: Digest, size: int, used: int) -> None:
        """An arriving blob is whole."""
        await self._execute(
            ("DELETE FROM segment WHERE digest = ?", [(digest,)]),
            ("DELETE FROM arriving WHERE digest = ?", [(digest,)]),
            (
                "INSERT OR REPLACE INTO committed VALUES (?, ?, ?, ?)",
                [(digest, size, used, self._boot)],
            ),
        )

    async def flushed(self, digest: Digest) -> None:
        """A committed blob has reached the disk."""
        await self._execute(("UPDATE committed SET boot = NULL WHERE digest = ?", [(digest,)]))

    async def used(self, recency: Mapping[Digest, int]) -> int:
        """Remember when blobs were last used; how many were."""
        await self._execute(
            (
                "UPDATE committed SET used = ? WHERE digest = ?",
                [(used, digest) for digest, used in recency.items()],
            )
        )
        return len(recency)

    async def pinned(self) -> set[Digest]:
        """Blobs that people want to keep."""
        return {Digest(digest) for (digest,) in await self._rows("SELECT digest FROM pinned")}

    async def pin(self, digest: Digest, *, kept: bool) -> None:
        """A blob is to be kept, or is not any longer."""
        statement = (
            "INSERT OR IGNORE INTO pinned VALUES (?)"
            if kept
            else "DELETE FROM pinned WHERE digest = ?"
        )
        await self._execute((statement, [(digest,)]))

    async def forget(self, digest: Digest) -> None:
        """A blob is gone, and need not be kept any longer."""
        await self._delete([digest], *_BYTES, "pinned")

    async def lost(self, digests: Iterable[Digest]) -> None:
        """Of these blobs nothing is here; those that people want to keep are when they come."""
        await self._delete(digests, *_BYTES)

    async def _delete(self, digests: Iterable[Digest], *tables: str) -> None:
        rows = [(digest,) for digest in digests]
        await self._execute(*((f"DELETE FROM {each} WHERE digest = ?", rows) for each in tables))
