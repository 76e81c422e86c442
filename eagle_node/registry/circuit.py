"""Whether a registry that was silent may be asked, and how long its answer is waited for; no IO.

    closed --silent--> doubted --silent--> open --(pause is over)--> half open: one question
      ^                   |                 ^                                |     |
      +---- answered -----+                 +------------- silent -----------+     |
      +------------------------------ answered ------------------------------------+

Silence is what costs time: each question to such a registry would make its client wait as long as
the one before. So after one that was not answered patience is short; after a second one all are
refused at once, but for one now and then. Pauses and patience double with each fruitless question:
a registry that is merely slow is heard in the end.
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST_PAUSE_S = 5.0
"""For which nobody asks a registry that was silent twice ..."""
LONGEST_PAUSE_S = 30.0
"""... and the most that this grows to: so late at the latest it is noticed that it is back."""
FIRST_PATIENCE_S = 3.0
"""With a registry that is doubted: longer than TCP waits to send its first packet again, 1 s
(RFC 6298)."""
_MOST_FAILURES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Leave to ask once."""

    asked_at: float
    patience_s: float | None = None
    """Seconds of silence after which to give up; None: as ever."""
    is_probe: bool = False
    """Whether all others wait for what comes of it."""


class Circuit:
    """Of one registry. Invariant: at most one probe is under way, and only while it is open."""

    def __init__(self) -> None:
        self._failures = 0
        """Fruitless questions in a row; 0: closed, 1: doubted."""
        self._failed_at = 0.0
        self._until = 0.0
        self._probing = False

    def wait_s(self, now: float) -> float:
        """Seconds until the next question may be asked, if it is not being asked."""
        return max(0.0, self._until - now) if self._is_open else 0.0

    def ask(self, now: float) -> Turn | None:
        """Leave to ask now; None: not yet, or somebody else is asking."""
        if not self._is_open:
            return Turn(asked_at=now, patience_s=FIRST_PATIENCE_S if self._failures else None)
        if self._probing or now < self._until:
            return None
        self._probing = True
        patience_s = FIRST_PATIENCE_S * 2 ** (self._failures - 2)
        return Turn(asked_at=now, patience_s=patience_s, is_probe=True)

    def silent(self, turn: Turn, now: float) -> None:
        """A question was not answered; those that were under way with it tell nothing new."""
        if (self._is_open and not turn.is_probe) or (
            self._failures == 1 and turn.asked_at < self._failed_at
        ):
            return
        self._probing = False
        self._failures = min(self._failures + 1, _MOST_FAILURES)
        self._failed_at = now
        if self._is_open:
            pause_s = FIRST_PAUSE_S * 2 ** (self._failures - 2)
            self._until = now + min(LONGEST_PAUSE_S, pause_s)

    def given_up(self, turn: Turn) -> None:
        """Whoever asked has left before there was an answer; the next one asks."""
        if turn.is_probe:
            self._probing = False

    def answered(self) -> None:
        """There was an answer, or a failure that costs no time."""
        self._failures = 0
        self._probing = False
        self._until = 0.0

    def check(self) -> None:
        """Assert the invariant."""
        assert self._is_open or not self._probing

    @property
    def _is_open(self) -> bool:
        return self._failures > 1
