"""Who was given what, kept over restarts: it counts only while an origin cannot be asked.

Nothing in the file tells who or what: a row is named by a hash keyed with a secret of this node. A
password could be guessed by who has the secret too, so it is hashed slowly first (RFC 7914).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from eagle_node.base.bounded import BoundedDict
from eagle_node.base.errors import StartError
from eagle_node.registry.names import BlobRef
from eagle_node.runtime.clock import Clock
from eagle_node.runtime.tasks import TaskSet
from eagle_node.store.database import Database
from eagle_node.store.memory import Memory

if TYPE_CHECKING:
    from sqlite_utils import Database as Tables

CLOCK_SLACK_S = 300.0
"""How far ahead of the clock a word may be: clocks are set. One that is further is not believed."""
_BATCH_S = 1.0
_RENEW_S = 60.0
"""A yes that was noted so lately is not noted again."""
_MOST = 65536
_MOST_SLOW = 1024
_KEY_SIZE = 32
_SCRYPT = {"n": 1 << 14, "r": 8, "p": 1, "maxmem": 64 << 20}
"""RFC 7914: 16 MiB and some 50 ms for each guess."""

_Question = tuple[BlobRef, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class OldWord:
    """A yes that an origin has said to a reader."""

    size: int | None
    """Bytes of the blob, if they were told."""
    age_s: float


@dataclass(frozen=True, slots=True)
class _Note:
    """The origin's last word: a yes with its time and the blob's size, or what voids it."""

    said_at: float | None
    size: int | None = None


def _create(tables: Tables) -> None:
    tables.conn.execute(
        "CREATE TABLE word (name BLOB PRIMARY KEY, said_at REAL NOT NULL, size INTEGER)"
        " WITHOUT ROWID"
    )
    tables.conn.execute("CREATE INDEX word_said ON word (said_at)")


class Rights:
    """An async context manager over the file in ``directory``; readers are those of `Access`.

    A memory, not a source of truth. Times are wall-clock, since they outlive the process; words
    older than ``limit_s`` are dropped.
    """

    def __init__(self, directory: Path, limit_s: float, clock: Clock = time.time) -> None:
        self._directory = directory
        self._limit_s = limit_s
        self._clock = clock
        self._database = Database(directory / "rights.sqlite", (_create,))
        self._secret = b""
        self._pending: dict[_Question, _Note] = {}
        self._noted: BoundedDict[_Question, float] = BoundedDict(_MOST)
        self._slow: BoundedDict[str, bytes] = BoundedDict(_MOST_SLOW)
        """Slow hashes of passwords, for as long as this process lives; the writer thread's."""
        self._wake = asyncio.Event()
        self._memory = Memory("rights over a restart")
        self._tasks = TaskSet()

    async def __aenter__(self) -> Self:
        self._secret = await asyncio.to_thread(_secret_in, self._directory / "rights.key")
        await self._database.__aenter__()
        self._tasks.spawn(self._keep(), name="rights")
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._tasks.cancel()
        await self._flush()
        await self._database.__aexit__(*error)

    def yes(
        self, blob: BlobRef, authorization: str | None, size: int | None = None, age_s: float = 0.0
    ) -> None:
        """The origin has let this reader have ``blob``, ``age_s`` ago."""
        question, said_at = (blob, authorization), self._clock() - age_s
        if said_at < self._noted.get(question, float("-inf")) + _RENEW_S:
            return
        self._noted[question] = said_at
        self._note(question, _Note(said_at, size))

    def no(self, blob: BlobRef, authorization: str | None) -> None:
        """An earlier yes to this reader is void."""
        self._noted.pop((blob, authorization), None)
        self._note((blob, authorization), _Note(None))

    async def recall(self, blob: BlobRef, *readers: str | None) -> OldWord | None:
        """The first yes to one of ``readers`` that is not too old."""
        await self._flush()

        def work(tables: Tables) -> OldWord | None:
            for reader in readers:
                row: Any = tables.conn.execute(
                    "SELECT said_at, size FROM word WHERE name = ?", (self._name(blob, reader),)
                ).fetchone()
                if row is None:
                    continue
                age_s = self._clock() - row[0]
                if -CLOCK_SLACK_S <= age_s < self._limit_s:
                    return OldWord(size=row[1], age_s=max(0.0, age_s))
            return None

        return await self._memory.attempt(self._database.read(work))

    def _note(self, question: _Question, note: _Note) -> None:
        self._pending[question] = note
        self._wake.set()

    async def _keep(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(_BATCH_S)
            await self._flush()

    async def _flush(self) -> None:
        self._wake.clear()
        pending, self._pending = self._pending, {}
        if not pending:
            return

        def work(tables: Tables) -> None:
            for (blob, reader), note in pending.items():
                name = self._name(blob, reader)
                if note.said_at is None:
                    tables.conn.execute("DELETE FROM word WHERE name = ?", (name,))
                    continue
                tables.conn.execute(
                    "INSERT INTO word VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET"
                    " said_at = excluded.said_at, size = coalesce(excluded.size, size)",
                    (name, note.said_at, note.size),
                )
            tables.conn.execute(
                "DELETE FROM word WHERE said_at < ? OR name IN"
                " (SELECT name FROM word ORDER BY said_at DESC LIMIT -1 OFFSET ?)",
                (self._clock() - self._limit_s, _MOST),
            )

        await self._memory.attempt(self._database.write(work))

    def _name(self, blob: BlobRef, reader: str | None) -> bytes:
        what = "\0".join(blob.right).encode("utf-8", "surrogateescape")
        question = hashlib.blake2b(what, key=self._secret)
        question.update(self._who(reader))
        return question.digest()[:_KEY_SIZE]

    def _who(self, reader: str | None) -> bytes:
        """A reader, as far as it can be told again; tokens are too long to be guessed."""
        if not reader:
            return b"\0this node" if reader is None else b"\0anybody"
        raw = reader.encode("utf-8", "surrogateescape")
        if reader[:7].lower() == "bearer ":
            return b"\0" + hashlib.blake2b(raw, key=self._secret).digest()
        if reader not in self._slow:
            self._slow[reader] = hashlib.scrypt(raw, salt=self._secret, **_SCRYPT)
        return b"\0" + self._slow[reader]


def _secret_in(path: Path) -> bytes:
    """The key kept in a file that only this user reads, drawn when there is none."""
    try:
        found = path.read_bytes()
        if len(found) == _KEY_SIZE:
            return found
        path.unlink()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise StartError(f"cannot read {path}: {error.strerror}") from error
    drawn = secrets.token_bytes(_KEY_SIZE)
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "wb") as opened:
            opened.write(drawn)
    except OSError as error:
        raise StartError(f"cannot write {path}: {error.strerror}") from error
    return drawn
