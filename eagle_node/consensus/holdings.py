"""A node's own view of the leases that it holds: it loses them by itself when nobody answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eagle_node.consensus.messages import BeatReply, Held
from eagle_node.consensus.records import LeaseRecord
from eagle_node.consensus.timing import Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A lease of this node."""

    lease: str
    epoch: int
    """Fences: whoever is shown a higher one for this lease must not heed this holder."""
    until: float
    """End of validity, by this node's clock."""


class Holdings:
    """Invariant: nothing in it outlives ``held_s`` from the sending of the beat that renewed it."""

    def __init__(self, *, timing: Timing) -> None:
        self._timing = timing
        self._held: dict[str, Holding] = {}
        self._sent: dict[int, float] = {}
        self._released: dict[str, int] = {}
        """To be told to the leader until the lease is granted anew."""
        self._floors: dict[str, int] = {}
        """Epochs up to which answers, which may be late, are not taken."""
        self.epoch_seen = 0

    def sent(self, sequence: int, now: float) -> None:
        """A beat is about to leave."""
        self._sent[sequence] = now
        for old in [each for each, at in self._sent.items() if at < now - self._timing.lease_s]:
            del self._sent[old]

    def reset(self) -> None:
        """Another cluster is followed: what was held, and answers that are under way, are void."""
        self._held.clear()
        self._sent.clear()
        self._released.clear()
        self._floors.clear()

    def answered(self, reply: BeatReply) -> float | None:
        """Take over what the leader confirmed; when its beat was sent, None if that is too long
        ago to matter or the answer came before."""
        sent_at = self._sent.pop(reply.sequence, None)
        if sent_at is None:
            return None
        until = sent_at + min(self._timing.held_s, reply.lease_s * (1 - self._timing.drift))
        for held in reply.leases:
            self.epoch_seen = max(self.epoch_seen, held.epoch)
            known = self._held.get(held.lease)
            newest = (known.epoch, known.until) if known is not None else (0, 0.0)
            fresh = held.epoch > self._floors.get(held.lease, -1)
            if fresh and (held.epoch, until) > newest:
                self._held[held.lease] = Holding(lease=held.lease, epoch=held.epoch, until=until)
        return sent_at

    def valid(self, now: float) -> Mapping[str, Holding]:
        """What is held now."""
        return {name: each for name, each in self._held.items() if now < each.until}

    def expire(self, now: float) -> None:
        """Forget what has run out."""
        self._held = dict(self.valid(now))

    def release(self, lease: str) -> None:
        """Give a lease up, for good: a later answer for this epoch changes nothing."""
        holding = self._held.pop(lease, None)
        if holding is not None:
            self._released[lease] = self._floors[lease] = holding.epoch

    def release_all(self) -> None:
        """Give everything up."""
        for lease in list(self._held):
            self.release(lease)

    def seen(self, leases: tuple[LeaseRecord, ...]) -> None:
        """The registry as the leader told it: former epochs are over, their release is known."""
        for record in leases:
            self.epoch_seen = max(self.epoch_seen, record.epoch)
            self._floors[record.name] = max(self._floors.get(record.name, -1), record.epoch - 1)
            if self._released.get(record.name, record.epoch) < record.epoch:
                del self._released[record.name]
            if (held := self._held.get(record.name)) is not None and held.epoch < record.epoch:
                del self._held[record.name]

    def released(self) -> tuple[Held, ...]:
        """To be told to the leader."""
        return tuple(Held(lease=name, epoch=epoch) for name, epoch in self._released.items())
