"""Leases: the replicated record of who holds what, and the leader's side of their time.

Why there are never two valid holders of one lease:

- A holder counts from when it *sent* a beat; the leader answers it after a majority has answered a
  broadcast that followed the beat. So every answer's beat is older than the last contact that some
  voter of any later majority had with that leader.
- A new leader learns that last contact from the votes (`Elected.contact_at`) and grants no lease to
  another node before ``lease_s`` have passed since. Within one term the leader does the same from
  the beat's arrival.
- A node that gives a lease up refuses later answers for that epoch. What a process said before it
  died may come when the next one of the same node has been told that it holds the lease: only a
  release by the one session that this leader has told frees a lease at once. Any other makes it be
  renewed no more, and frees it when its time is up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from eagle_node.base.ids import NodeId
from eagle_node.consensus.messages import Held
from eagle_node.consensus.records import (
    Command,
    Configure,
    Grant,
    LeaseRecord,
    Noop,
    RaiseRank,
    Registry,
    Revoke,
    SetSetting,
    Setting,
)
from eagle_node.consensus.timing import Timing

MOST_SETTINGS = 256
"""Keys in the registry; a further one is not set."""


def lease_record(registry: Registry, name: str) -> LeaseRecord:
    """The record of a lease; of one that nobody has had yet, an empty one."""
    for record in registry.leases:
        if record.name == name:
            return record
    return LeaseRecord(name=name, holder=None, epoch=0)


def setting(registry: Registry, key: str) -> str:
    """A setting's value; empty when it is not set."""
    return next((each.value for each in registry.settings if each.key == key), "")


def applied(registry: Registry, command: Command) -> Registry:
    """The registry after ``command``: the same on every node, whatever the time."""
    match command:
        case Noop() | Configure():
            return registry
        case Grant():
            record = lease_record(registry, command.lease)
            if record.epoch != command.expected:
                return registry
            epoch = max(registry.epoch, command.floor) + 1
            granted = LeaseRecord(name=command.lease, holder=command.holder, epoch=epoch)
            return replace(_with_lease(registry, granted), epoch=epoch)
        case Revoke():
            record = lease_record(registry, command.lease)
            if record.epoch != command.expected:
                return registry
            return _with_lease(registry, replace(record, holder=None))
        case SetSetting():
            return _with_setting(registry, command)
        case RaiseRank():
            return replace(registry, rank=max(registry.rank, command.rank))
        case _:
            assert_never(command)


def _with_lease(registry: Registry, record: LeaseRecord) -> Registry:
    others = [each for each in registry.leases if each.name != record.name]
    return replace(registry, leases=tuple(sorted([*others, record], key=lambda each: each.name)))


def _with_setting(registry: Registry, command: SetSetting) -> Registry:
    settings = {each.key: each.value for each in registry.settings}
    settings[command.key] = command.value
    if not command.value:
        del settings[command.key]
    if len(settings) > MOST_SETTINGS:
        return registry
    return replace(
        registry, settings=tuple(Setting(key=k, value=v) for k, v in sorted(settings.items()))
    )


class LeaseClock:
    """When each lease of one leader's term may go to another node. Times are the leader's.

    Invariant: ``free_at`` of a lease never falls, except by its holder's own release.
    """

    def __init__(self, *, timing: Timing, contact_at: float) -> None:
        self._timing = timing
        self._inherited = contact_at + timing.lease_s
        """Until then, former leaders' leases may be valid."""
        self._free_at: dict[str, float] = {}
        self._released: dict[str, int] = {}
        self._given_up: dict[str, int] = {}
        self._leaving: dict[str, int] = {}
        self._told: dict[str, tuple[int, frozenset[int]]] = {}
        """The epoch of each lease, and the holder's sessions that may hold it by an answer."""

    def granted(self, record: LeaseRecord, now: float) -> None:
        """A grant was committed: the holder has a lease's time for its first beat."""
        self._free_at[record.name] = max(self.free_at(record), now + self._timing.lease_s)

    def renew(self, registry: Registry, node: NodeId, now: float) -> None:
        """A beat came; the answer will be valid for a lease's time from some moment before now."""
        for held in self.holdings(registry, node):
            at = now + self._timing.lease_s
            self._free_at[held.lease] = max(self._free_at.get(held.lease, 0.0), at)

    def holdings(self, registry: Registry, node: NodeId) -> tuple[Held, ...]:
        """The leases that a node may be told to hold."""
        return tuple(
            Held(lease=record.name, epoch=record.epoch)
            for record in registry.leases
            if record.holder == node and not self.is_leaving(record)
        )

    def told(self, leases: Iterable[Held], session: int) -> None:
        """An answer with ``leases`` goes to a session of their holder."""
        for held in leases:
            epoch, sessions = self._told.get(held.lease, (held.epoch, frozenset()))
            before = sessions if epoch == held.epoch else frozenset()
            self._told[held.lease] = held.epoch, before | {session}

    def release(self, record: LeaseRecord, session: int) -> None:
        """A session of the holder uses a lease no more, and takes no answers for its epoch."""
        self._given_up[record.name] = record.epoch
        if self._told.get(record.name) == (record.epoch, frozenset({session})):
            self._released[record.name] = record.epoch

    def let_go(self, records: Iterable[LeaseRecord]) -> None:
        """Renew these leases no more, and all others again: they are to go elsewhere."""
        self._leaving = {record.name: record.epoch for record in records}

    def is_leaving(self, record: LeaseRecord) -> bool:
        """Whether its holder is not to hold it any longer."""
        return self._leaving.get(record.name) == record.epoch or self.is_given_up(record)

    def is_given_up(self, record: LeaseRecord) -> bool:
        """Whether its holder has said that it holds it no longer."""
        return self._given_up.get(record.name) == record.epoch

    def is_released(self, record: LeaseRecord) -> bool:
        """Whether no process of its holder can hold it any longer."""
        return self._released.get(record.name) == record.epoch

    def is_free(self, record: LeaseRecord, now: float) -> bool:
        """Whether no node can hold it validly."""
        return now >= self.free_at(record)

    def free_at(self, record: LeaseRecord) -> float:
        """From when on nobody holds it validly, unless it is renewed."""
        if record.holder is None or self.is_released(record):
            return float("-inf")
        return max(self._inherited, self._free_at.get(record.name, self._inherited))
