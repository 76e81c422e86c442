"""What happens to a raft member, and what it wants done."""

from __future__ import annotations

from dataclasses import dataclass

from eagle_node.consensus.messages import RaftMessage
from eagle_node.consensus.records import Command, Entry, MemberId, Registry, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message of another member."""

    sender: MemberId
    message: RaftMessage


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time has passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """Somebody wants a command in the log."""

    command: Command
    token: object


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAsked:
    """Somebody wants to know that this is the leader, and its state current (thesis, 6.4)."""

    token: object


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferAsked:
    """Another voter should lead."""

    target: MemberId


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerLost:
    """The last connection with a member was closed by the other side: it is probably dead."""

    member: MemberId


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """The state after all applied entries, to be kept in place of them."""

    registry: Registry


Event = Received | Ticked | Proposed | ReadAsked | TransferAsked | PeerLost | Compacted


@dataclass(frozen=True, slots=True, kw_only=True)
class Persist:
    """To be on disk before any later effect is carried out."""

    term: int
    vote: MemberId | None
    keep_below: int | None
    """Entries from here on are replaced by ``entries``; None: they stay."""
    entries: tuple[Entry, ...]
    snapshot: Snapshot | None
    """Replaces the stored one, and the entries that it covers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """A message for another member; it may get lost."""

    target: MemberId
    message: RaftMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A committed entry; each once and in order."""

    entry: Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A snapshot came instead of entries."""

    snapshot: Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The proposal is in the leader's log; whether it commits shows later."""

    token: object
    index: int
    term: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The proposal or read was not taken, and will not be."""

    token: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """A majority has followed this leader since the read was asked for, and all that was committed
    then is applied."""

    token: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Elected:
    """This member leads; no voter of the majority that chose it heard from another leader after
    ``contact_at``."""

    contact_at: float


@dataclass(frozen=True, slots=True)
class Deposed:
    """This member does not lead any more."""


Effect = Persist | Send | Applied | Restored | Accepted | Refused | Confirmed | Elected | Deposed
