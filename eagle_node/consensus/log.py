"""The log in memory: entries after a snapshot, and the configuration that is in force."""

from __future__ import annotations

from collections.abc import Sequence

from eagle_node.consensus.records import Configuration, Configure, Entry, Registry, Snapshot


class Log:
    """Entries ``snapshot.index + 1`` to ``last_index``, without gaps, terms never falling."""

    def __init__(self, snapshot: Snapshot, entries: Sequence[Entry]) -> None:
        self.snapshot = snapshot
        self._entries = list(entries)
        self._configured: list[tuple[int, Configuration]] = []
        self._find_configurations()

    @property
    def last_index(self) -> int:
        """Index of the last entry."""
        return self.snapshot.index + len(self._entries)

    @property
    def last_term(self) -> int:
        """Term of the last entry."""
        return self._entries[-1].term if self._entries else self.snapshot.term

    @property
    def configuration(self) -> Configuration:
        """The last one in the log, committed or not (Raft, section 6)."""
        return self._configured[-1][1]

    @property
    def configured_at(self) -> int:
        """Index of the entry that holds it."""
        return self._configured[-1][0]

    def term_at(self, index: int) -> int | None:
        """Term of an entry; None when it is not there, or within the snapshot."""
        if index == self.snapshot.index:
            return self.snapshot.term
        if self.snapshot.index < index <= self.last_index:
            return self._entries[index - self.snapshot.index - 1].term
        return None

    def since(self, index: int, most: int | None = None) -> tuple[Entry, ...]:
        """Entries from ``index`` on; it must not be within the snapshot."""
        start = index - self.snapshot.index - 1
        assert start >= 0
        return tuple(self._entries[start : None if most is None else start + most])

    def append(self, entries: Sequence[Entry]) -> None:
        """Add entries at the end."""
        for entry in entries:
            assert entry.index == self.last_index + 1
            self._entries.append(entry)
            if isinstance(entry.command, Configure):
                self._configured.append((entry.index, entry.command.configuration))

    def truncate(self, index: int) -> None:
        """Remove ``index`` and all after it, and go back to the configuration before."""
        del self._entries[index - self.snapshot.index - 1 :]
        while self._configured[-1][0] >= index:
            self._configured.pop()

    def first_of_term(self, index: int) -> int:
        """The first index of the term that the entry at ``index`` has."""
        term = self.term_at(index)
        while index > self.snapshot.index + 1 and self.term_at(index - 1) == term:
            index -= 1
        return index

    def last_of_term(self, term: int) -> int | None:
        """The last index of ``term``."""
        for entry in reversed(self._entries):
            if entry.term == term:
                return entry.index
            if entry.term < term:
                break
        return self.snapshot.index if self.snapshot.term == term else None

    def compact(self, index: int, registry: Registry) -> None:
        """Replace the entries up to ``index`` by the state after it."""
        term = self.term_at(index)
        assert term is not None
        configuration = [each for at, each in self._configured if at <= index][-1]
        rest = self.since(index + 1)
        self.snapshot = Snapshot(
            index=index, term=term, configuration=configuration, registry=registry
        )
        self._entries = list(rest)
        self._find_configurations()

    def install(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; entries after it stay when it agrees with the log (section 7)."""
        agrees = self.term_at(snapshot.index) == snapshot.term
        self._entries = list(self.since(snapshot.index + 1)) if agrees else []
        self.snapshot = snapshot
        self._find_configurations()

    def check(self) -> None:
        """Assert the invariants."""
        terms = [self.snapshot.term, *(entry.term for entry in self._entries)]
        assert terms == sorted(terms)
        for index, entry in enumerate(self._entries, self.snapshot.index + 1):
            assert entry.index == index

    def _find_configurations(self) -> None:
        self._configured = [(self.snapshot.index, self.snapshot.configuration)]
        for entry in self._entries:
            if isinstance(entry.command, Configure):
                self._configured.append((entry.index, entry.command.configuration))
