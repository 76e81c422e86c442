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
        self.epoch_seen = 0

    def sent(self, sequence: int, now: float) -> None:
        """A beat is about to leave."""
        self._sent[sequence] = now
        for old in [each for each, at in self._sent.items() if at < now - self._timing.lease_s]:
            del self._sent[old]

    def forget_sent(self) -> None:
        """Take no answers to beats sent so far: another cluster is to be followed."""
        self._sent.clear()

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
            fresh = held.epoch > self._released.get(held.lease, -1)
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
            self._released[lease] = max(holding.epoch, self._released.get(lease, 0))

    def release_all(self) -> None:
        """Give everything up."""
        for lease in list(self._held):
            self.release(lease)

    def seen(self, leases: tuple[LeaseRecord, ...]) -> None:
        """The registry as the leader told it: what is somebody else's needs no release any more."""
        for record in leases:
            self.epoch_seen = max(self.epoch_seen, record.epoch)
            if self._released.get(record.name, record.epoch) < record.epoch:
                self._released.pop(record.name)

    def released(self) -> tuple[Held, ...]:
        """To be told to the leader."""
        return tuple(Held(lease=name, epoch=epoch) for name, epoch in self._released.items())
