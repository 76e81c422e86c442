"""Log, term, vote and snapshot on disk, safe from a power failure once a method has returned."""

from __future__ import annotations

import logging
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

from eagle_node.base.ids import NodeId
from eagle_node.consensus.raft_events import Persist
from eagle_node.consensus.records import (
    Command,
    Durable,
    Entry,
    Identity,
    MemberId,
    Snapshot,
    node_of,
)
from eagle_node.consensus.wire import Malformed, parse_plain, parse_union, render, render_plain
from eagle_node.store.database import Damaged, Database

if TYPE_CHECKING:
    from sqlite_utils import Database as Tables

log = logging.getLogger(__name__)

FILE_NAME = "consensus.sqlite"
_SUFFIXES = ("", "-wal", "-shm")


def _create(tables: Tables) -> None:
    tables.conn.execute("CREATE TABLE state (name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID")
    tables.conn.execute(
        "CREATE TABLE entries (number INTEGER PRIMARY KEY, term INTEGER, command BLOB)"
    )


MIGRATIONS = (_create,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """Raft's currentTerm and votedFor."""

    term: int
    vote: MemberId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What the disk remembers of this node."""

    identity: Identity
    durable: Durable


class Storage:
    """The file of one node; None as a path keeps it in memory, for tests.

    A file that is damaged, or another node's, is set aside under another name, which is said: its
    node takes part anew, under a new member id, as it cannot know what it had promised. A file of a
    newer version is refused with `StartError`.
    """

    def __init__(self, path: Path | None, node_id: NodeId) -> None:
        self._path = path
        self._node_id = node_id
        self._database = Database(path, MIGRATIONS, durable=True)

    async def __aenter__(self) -> Self:
        try:
            await self._open()
        except Damaged as error:
            self._set_aside(str(error))
            self._database = Database(self._path, MIGRATIONS, durable=True)
            await self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._database.__aexit__()

    async def load(self) -> Stored | None:
        """What is stored; None: nothing."""
        return await self._database.read(_load)

    async def begin(self, identity: Identity, snapshot: Snapshot) -> None:
        """Forget everything, and store this."""

        def work(tables: Tables) -> None:
            tables.conn.execute("DELETE FROM entries")
            tables.conn.execute("DELETE FROM state")
            _put(tables, "identity", identity)
            _put(tables, "snapshot", snapshot)

        await self._database.write(work)

    async def persist(self, change: Persist) -> None:
        """Store what has changed, in one transaction."""
        await self._database.write(lambda tables: _persist(tables, change))

    async def probe(self) -> None:
        """Raise `NoSpace` unless there is room for a write."""

        def work(tables: Tables) -> None:
            tables.conn.execute(
                "INSERT OR REPLACE INTO state VALUES ('probe', zeroblob(?))", (_PROBE_BYTES,)
            )

        def clean(tables: Tables) -> None:
            tables.conn.execute("DELETE FROM state WHERE name = 'probe'")

        await self._database.write(work)
        await self._database.write(clean)

    async def _open(self) -> None:
        await self._database.__aenter__()
        try:
            stored = await self._database.read(_load)
            if stored is not None and node_of(stored.identity.member) != self._node_id:
                raise Damaged(f"{self._path} belongs to another node")
        except BaseException:
            await self._database.__aexit__()
            raise

    def _set_aside(self, reason: str) -> None:
        if self._path is None:
            return
        number = 1
        while (aside := self._path.with_name(f"{self._path.name}.damaged-{number}")).exists():
            number += 1
        for suffix in _SUFFIXES:
            file = self._path.with_name(self._path.name + suffix)
            if file.exists():
                file.rename(aside.with_name(aside.name + suffix))
        log.warning("%s; it is now %s, and this node joins as a new one", reason, aside)


_PROBE_BYTES = 64 << 10


def _put(tables: Tables, name: str, value: object) -> None:
    tables.conn.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (name, render_plain(value)))


def _persist(tables: Tables, change: Persist) -> None:
    _put(tables, "ballot", Ballot(term=change.term, vote=change.vote))
    if change.snapshot is not None:
        _put(tables, "snapshot", change.snapshot)
        tables.conn.execute("DELETE FROM entries WHERE number <= ?", (change.snapshot.index,))
    if change.keep_below is not None:
        tables.conn.execute("DELETE FROM entries WHERE number >= ?", (change.keep_below,))
    tables.conn.executemany(
        "INSERT INTO entries VALUES (?, ?, ?)",
        [(entry.index, entry.term, render(entry.command)) for entry in change.entries],
    )


def _load(tables: Tables) -> Stored | None:
    try:
        return _parsed(tables.conn)
    except (Malformed, sqlite3.DatabaseError) as error:
        raise Damaged(f"the log of this node cannot be read: {error}") from error


def _parsed(connection: sqlite3.Connection) -> Stored | None:
    state = dict(connection.execute("SELECT name, value FROM state").fetchall())
    if "identity" not in state:
        return None
    ballot = Ballot(term=0, vote=None)
    if "ballot" in state:
        ballot = parse_plain(Ballot, state["ballot"])
    snapshot = parse_plain(Snapshot, state["snapshot"]) if "snapshot" in state else None
    if snapshot is None:
        raise Malformed("there is no snapshot")
    rows = connection.execute("SELECT number, term, command FROM entries ORDER BY number")
    entries = tuple(
        Entry(index=number, term=term, command=cast(Command, parse_union(Command, command)))
        for number, term, command in rows
    )
    if [each.index for each in entries] != list(
        range(snapshot.index + 1, snapshot.index + 1 + len(entries))
    ):
        raise Malformed("entries are missing")
    return Stored(
        identity=parse_plain(Identity, state["identity"]),
        durable=Durable(term=ballot.term, vote=ballot.vote, snapshot=snapshot, entries=entries),
    )
