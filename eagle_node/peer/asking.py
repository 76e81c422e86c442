"""Which seeder a download asks, and whether one is waited for (no IO)."""

from __future__ import annotations

from eagle_node.peer.events import GoToOrigin, OpenStream, SeederBeat, SeedersChanged

ELECTION_S = 8.0
"""How long the place of a seeder that is gone may be vacant: others are elected within 3 s of its
death; where nobody leads, members take 6 s to miss it and name a stand-in."""
_AGAIN_S = 1.0
"""Between two questions to seeders that were gone."""
_DISPLACED_S = 2.0
"""How long one that is no seeder any more may tell nothing: it may be waiting for its successor."""

Turn = OpenStream | GoToOrigin | None
"""Whose turn it is; None: nobody's yet, or it goes on as it is."""


class Asking:
    """The seeders of one download, who are asked one after the other.

    ``attempt`` grows to the number of seeders at the most. While nobody is left to ask, and another
    one may be elected, those before are asked again: they may have been restarted.
    """

    def __init__(
        self,
        *,
        seeders: int,
        now: float,
        next_in_line: bool,
        elected: bool,
        standing: frozenset[int] | None = None,
    ) -> None:
        """``next_in_line``: after these seeders it is this node's turn to ask the origin.

        ``elected``: in the place of a seeder that is gone comes another one. ``standing``: which
        of the seeders have the role now; None: all.
        """
        self._seeders = seeders
        self._standing = standing
        self._next_in_line = next_in_line
        self._elected = elected
        self._gone = False
        """The seeder that was asked last is gone."""
        self._vacant_since: float | None = None
        """Since when there has been no seeder to ask; None: there is, or none is waited for."""
        self._again: int | None = None
        """Who was asked again last, since then."""
        self._again_at = 0.0
        self._fetched = -1
        """Bytes that the seeder has got."""
        self.heard_at = now
        """When a seeder last gave a sign of progress."""
        self.is_open = True
        """What the seeder tells has not ended."""
        self.attempt = self._standing_from(0) or 0

    @property
    def is_over(self) -> bool:
        """Whether nobody else can be asked, now or later."""
        return self.attempt + 1 >= self._seeders and not (self._next_in_line or self._elected)

    def start(self) -> OpenStream:
        """The first seeder is asked."""
        return OpenStream(self.attempt)

    def beat(self, beat: SeederBeat, now: float) -> None:
        """The seeder lives; it may have got more."""
        self._come_back()
        if beat.received > self._fetched or beat.waiting:
            self._fetched = beat.received
            self.heard_at = now

    def heard(self, now: float) -> None:
        """The seeder tells something."""
        self.heard_at = now
        self._come_back()

    def again(self, now: float) -> OpenStream | None:
        """While nobody is left: ask one of those before again, every `_AGAIN_S`, in turn."""
        if self._vacant_since is None or now - self._vacant_since >= ELECTION_S:
            return None
        if self.is_open or now - self._again_at < _AGAIN_S:
            return None
        after = 0 if self._again is None else self._again + 1
        turn = self._standing_from(after)
        turn = self._standing_from(0) if turn is None else turn
        if turn is None:
            return None
        self._again, self._again_at, self.is_open = turn, now, True
        return OpenStream(turn)

    def ended(self, *, gone: bool) -> None:
        """The seeder tells nothing more."""
        self.is_open = False
        self._gone = gone

    def changed(self, event: SeedersChanged) -> Turn:
        """Others have the role: one of them may be the one that is waited for."""
        self._seeders = max(self._seeders, event.seeders)
        self._standing = event.standing
        self._next_in_line = event.next_in_line
        if self._vacant_since is None:
            return None
        if (following := self._standing_from(self.attempt)) is not None:
            return self._open(following)
        if self._next_in_line:
            return GoToOrigin("this node is the seeder in the place of one that is gone")
        return None

    def next(self, reason: str, now: float) -> Turn:
        """Ask another seeder, wait for one to be elected, or do without."""
        if self._vacant_since is not None:
            if now - self._vacant_since < ELECTION_S:
                return None
            return GoToOrigin(f"{reason}; nobody took the seeder's place")
        self.attempt += 1
        if (following := self._standing_from(self.attempt)) is not None:
            return self._open(following)
        if self._elected and self._gone and not self._next_in_line:
            self._vacant_since = self._again_at = now
            return None
        return GoToOrigin(reason)

    def is_displaced(self, now: float) -> bool:
        """Whether who is asked has lost the role, and tells nothing.

        It may wait for another seeder, and that one for this node.
        """
        return (
            self._standing is not None
            and self.attempt not in self._standing
            and self._vacant_since is None
            and self.is_open
            and now - self.heard_at >= _DISPLACED_S
        )

    def leave(self, now: float) -> Turn:
        """Who is asked counts as gone."""
        self.heard_at = now
        self._gone = True
        return self.next("the seeder is none any more, and tells nothing", now)

    def end(self) -> None:
        """Nobody is asked any more."""
        self.attempt = self._seeders

    def check(self) -> None:
        """Assert the bound."""
        assert self.attempt <= self._seeders

    def _come_back(self) -> None:
        """One that was asked again has answered."""
        if self._again is not None and self.is_open:
            self._open(self._again)

    def _standing_from(self, attempt: int) -> int | None:
        """The next seeder from ``attempt`` on that has the role."""
        standing = self._standing
        left = range(attempt, self._seeders)
        return next((each for each in left if standing is None or each in standing), None)

    def _open(self, attempt: int) -> OpenStream:
        self.attempt = attempt
        self._vacant_since = self._again = None
        self._gone = False
        self._fetched = -1
        self.is_open = True
        return OpenStream(attempt)
