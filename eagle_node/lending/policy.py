"""What to verify next, what to offer, what no longer: events in, effects out; no IO.

A file is *found* by a look into the store, *checked* by being read once, then *offered*, or passed
over for as long as it stays what it is. Files that somebody waits for come first, then those whose
copies the cache could drop, then the newest. One that changed while it was read is found anew by
the next look.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from eagle_node.base.digest import Digest
from eagle_node.blobs.lent import FileIdentity

RETRY_S = 30.0
"""Seconds until a file that could not be read is tried again."""
MOST_AT_ONCE = 2
"""Files that are read at a time because somebody waits; without anybody waiting, one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A look into the store has found these files, and no others."""

    files: Mapping[Digest, FileIdentity]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """These files were verified by a former run."""

    files: Mapping[Digest, FileIdentity]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """The cache has a copy of a blob."""

    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Somebody waits for a blob."""

    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A file has been read: whether its bytes have the digest of its name."""

    digest: Digest
    identity: FileIdentity
    right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A file could not be read. ``changed``: it is not the one that was found."""

    digest: Digest
    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Altered:
    """A file that was offered turned out to be another, or gone."""

    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The store cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticked:
    """Time has passed."""


Event = Listed | Lost | Remembered | Copied | Asked | Checked | Unread | Altered | Ticked


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Read a file; `Checked` or `Unread` follows. ``hurried``: somebody waits for it."""

    digest: Digest
    identity: FileIdentity
    hurried: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Lend a file's blob to the cache and to peers."""

    digest: Digest
    identity: FileIdentity


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw:
    """Lend it no longer. ``kept``: what was found of the file may hold again."""

    digest: Digest
    kept: bool = False


Effect = Check | Offer | Withdraw


class State(enum.Enum):
    """Of a file in the store."""

    FOUND = enum.auto()
    CHECKING = enum.auto()
    OFFERED = enum.auto()
    WRONG = enum.auto()


@dataclass(slots=True)
class _Entry:
    identity: FileIdentity
    state: State = State.FOUND
    not_before: float = 0.0
    """When it may be read again."""


class Shelf:
    """The files of one content store.

    Invariants: at most `MOST_AT_ONCE` files are being read; ``_hurried`` holds only files that were
    found and are not decided.
    """

    def __init__(self) -> None:
        self._entries: dict[Digest, _Entry] = {}
        self._remembered: dict[Digest, FileIdentity] = {}
        self._copied: set[Digest] = set()
        self._hurried: dict[Digest, None] = {}
        self._reading: set[Digest] = set()
        """Files that are being read, whether they are still what they were or not."""
        self._queue: list[Digest] | None = None
        """Files to be read while nobody waits, the first one last; None: to be sorted anew."""
        self._retry_at = math.inf
        """When files that could not be read are worth another look."""

    def state(self, digest: Digest) -> State | None:
        """Of a blob's file; None when there is none."""
        entry = self._entries.get(digest)
        return entry.state if entry is not None else None

    def counts(self) -> Mapping[State, int]:
        """How many files are in which state."""
        found = dict.fromkeys(State, 0)
        for entry in self._entries.values():
            found[entry.state] += 1
        return found

    def handle(self, event: Event, now: float) -> Sequence[Effect]:
        """Take in ``event``; what is to be done, in order."""
        effects: list[Effect] = []
        match event:
            case Listed(files=files):
                self._queue = None
                effects += self._listed(files)
            case Lost():
                effects += self._lost()
            case Remembered(files=files):
                self._remembered.update(files)
            case Copied(digest=digest):
                self._copied.add(digest)
                self._queue = None
            case Asked(digest=digest):
                if self.state(digest) in (State.FOUND, State.CHECKING):
                    self._hurried[digest] = None
                    self._entries[digest].not_before = now
            case Checked():
                effects += self._checked(event)
            case Unread():
                self._unread(event, now)
            case Altered(digest=digest):
                effects += self._removed(digest)
            case Ticked():
                if now >= self._retry_at:
                    self._queue, self._retry_at = None, math.inf
            case _:
                assert_never(event)
        return [*effects, *self._next(now)]

    def is_hurried(self, digest: Digest) -> bool:
        """Whether somebody waits for a file to be read."""
        return digest in self._hurried

    def check(self) -> None:
        """Assert the invariants."""
        assert len(self._reading) <= MOST_AT_ONCE
        for digest in self._hurried:
            assert self.state(digest) in (State.FOUND, State.CHECKING)
        for digest, entry in self._entries.items():
            assert entry.state is not State.CHECKING or digest in self._reading

    def _listed(self, files: Mapping[Digest, FileIdentity]) -> Sequence[Effect]:
        effects: list[Effect] = []
        for digest in self._entries.keys() - files.keys():
            effects += self._removed(digest)
        for digest, identity in files.items():
            entry = self._entries.get(digest)
            if entry is not None and entry.identity == identity:
                continue
            effects += self._removed(digest)
            entry = self._entries[digest] = _Entry(identity)
            if self._remembered.pop(digest, None) == identity:
                entry.state = State.OFFERED
                effects.append(Offer(digest=digest, identity=identity))
        return effects

    def _lost(self) -> Sequence[Effect]:
        offered = [d for d, entry in self._entries.items() if entry.state is State.OFFERED]
        self._remembered |= {digest: self._entries[digest].identity for digest in offered}
        self._entries.clear()
        self._hurried.clear()
        return [Withdraw(digest=digest, kept=True) for digest in offered]

    def _removed(self, digest: Digest) -> Sequence[Effect]:
        entry = self._entries.pop(digest, None)
        self._hurried.pop(digest, None)
        if entry is not None and entry.state is State.OFFERED:
            return [Withdraw(digest=digest)]
        return []

    def _checked(self, event: Checked) -> Sequence[Effect]:
        self._reading.discard(event.digest)
        entry = self._entries.get(event.digest)
        if entry is None or entry.state is not State.CHECKING:
            return []  # It was removed or replaced while it was read.
        self._hurried.pop(event.digest, None)
        entry.state = State.OFFERED if event.right else State.WRONG
        return [Offer(digest=event.digest, identity=event.identity)] if event.right else []

    def _unread(self, event: Unread, now: float) -> None:
        self._reading.discard(event.digest)
        entry = self._entries.get(event.digest)
        if entry is None or entry.state is not State.CHECKING:
            return
        self._hurried.pop(event.digest, None)
        if event.changed:
            del self._entries[event.digest]
        else:
            entry.state, entry.not_before = State.FOUND, now + RETRY_S
            self._retry_at = entry.not_before

    def _next(self, now: float) -> Sequence[Effect]:
        ready = [digest for digest in self._hurried if self._may_read(digest, now)]
        free = MOST_AT_ONCE - len(self._reading)
        effects: list[Effect] = [self._read(digest, hurried=True) for digest in ready[:free]]
        while not self._reading and (queue := self._queued()):
            if (digest := queue.pop()) in self._entries and self._may_read(digest, now):
                effects.append(self._read(digest, hurried=False))
        return effects

    def _queued(self) -> list[Digest]:
        if self._queue is None:
            found = [d for d, entry in self._entries.items() if entry.state is State.FOUND]
            self._queue = sorted(found, key=self._urgency)
        return self._queue

    def _may_read(self, digest: Digest, now: float) -> bool:
        entry = self._entries[digest]
        return (
            entry.state is State.FOUND and digest not in self._reading and entry.not_before <= now
        )

    def _urgency(self, digest: Digest) -> tuple[bool, int]:
        return digest in self._copied, self._entries[digest].identity.modified_ns

    def _read(self, digest: Digest, *, hurried: bool) -> Check:
        entry = self._entries[digest]
        entry.state = State.CHECKING
        self._reading.add(digest)
        return Check(digest=digest, identity=entry.identity, hurried=hurried)
