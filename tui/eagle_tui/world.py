"""What the dashboard knows of a node, and how old that is. No IO."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from eagle_node.api.labels import labels
from eagle_node.api.schema import (
    BlobRow,
    Blobs,
    Event,
    History,
    Member,
    PreheatJob,
    Readiness,
    Setting,
    Status,
    TransferRow,
)

R = TypeVar("R")

EVENTS_KEPT = 5000
STALE_S = 6.0
"""Age from which on a picture is told to be old: some missed answers."""


class Link(enum.Enum):
    """How the dashboard stands with the node."""

    CONNECTING = enum.auto()
    """Nothing has come yet."""
    LIVE = enum.auto()
    SLOW = enum.auto()
    """No failure, but the last answer is old."""
    LOST = enum.auto()
    """The node does not answer."""


@dataclass(slots=True, kw_only=True)
class World:
    """The last of each document, changed by the events that came after it.

    Times are those of a monotonic clock, but ``lost_since``.
    """

    url: str
    status: Status | None = None
    readiness: Readiness | None = None
    history: History | None = None
    transfers: tuple[TransferRow, ...] = ()
    blobs: Blobs = field(default_factory=lambda: Blobs(blobs=()))
    jobs: tuple[PreheatJob, ...] = ()
    settings: tuple[Setting, ...] = ()
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=EVENTS_KEPT))
    refused: dict[str, str] = field(default_factory=dict)
    """What the node does not answer, by document, and what it says instead."""
    reached_at: float | None = None
    """When the status came last."""
    lost_since: str = ""
    """Time of day since when the node does not answer; empty: it does."""
    reason: str = ""
    """Why it does not."""
    _names: Mapping[str, str] = field(default_factory=dict)
    _named: Sequence[Member] = ()
    """The members that `_names` are of."""

    def name_of(self, node_id: str) -> str:
        """What people call a node; where several have one name, the id's beginning tells which."""
        members = self.status.cluster.members if self.status is not None else ()
        if members is not self._named:
            self._named, self._names = members, labels(members)
        return self._names.get(node_id, node_id)

    def reached(self, status: Status, readiness: Readiness, now: float) -> None:
        """The node has answered."""
        self.status, self.readiness = status, readiness
        self.reached_at = now
        self.lost_since = self.reason = ""

    def lost(self, reason: str, time_of_day: str) -> None:
        """It has not. The first failure counts as the beginning."""
        self.lost_since = self.lost_since or time_of_day
        self.reason = reason

    def heard(self, event: Event) -> None:
        """Something has happened at the node."""
        if event.id:  # what is not kept tells how far something is
            self.events.append(event)
        if event.transfer is not None:
            self._heard_transfer(event.kind, event.transfer)
        if event.member is not None and self.status is not None:
            gone = event.kind == "member-gone" and event.member.state == "left"
            members = _with(self.status.cluster.members, event.member, lambda each: each.id, gone)
            cluster = replace(self.status.cluster, members=members)
            self.status = replace(self.status, cluster=cluster)
        if event.lease is not None and self.status is not None:
            leases = _with(self.status.cluster.leases, event.lease, lambda each: each.name)
            cluster = replace(self.status.cluster, leases=leases)
            self.status = replace(self.status, cluster=cluster)
        if event.blob is not None:
            self._heard_blob(event.kind, event.blob)
        if event.job is not None:
            fresh = all(job.id != event.job.id for job in self.jobs)
            self.jobs = (
                (event.job, *self.jobs)
                if fresh
                else _with(self.jobs, event.job, lambda each: each.id)
            )
        if event.setting is not None:
            self.settings = _with(self.settings, event.setting, lambda each: each.key)

    def age(self, now: float) -> float | None:
        """Seconds since the node answered last; None: never."""
        return None if self.reached_at is None else max(0.0, now - self.reached_at)

    def link(self, now: float) -> Link:
        """How things stand at ``now``."""
        age = self.age(now)
        if self.lost_since:
            return Link.LOST
        if age is None:
            return Link.CONNECTING
        return Link.LIVE if age < STALE_S else Link.SLOW

    def is_fresh(self, now: float) -> bool:
        """Whether rates are those of this moment: old ones are not shown."""
        age = self.age(now)
        return age is not None and age < STALE_S

    def _heard_transfer(self, kind: str, row: TransferRow) -> None:
        ended = kind in ("transfer-finished", "transfer-failed") and not row.children
        self.transfers = _with(self.transfers, row, lambda each: each.digest, ended)

    def _heard_blob(self, kind: str, row: BlobRow) -> None:
        known = any(each.digest == row.digest for each in self.blobs.blobs)
        if known:
            rows = _with(self.blobs.blobs, row, lambda each: each.digest, kind == "blob-evicted")
            total = self.blobs.total - (kind == "blob-evicted")
            self.blobs = replace(self.blobs, blobs=rows, total=total)


def _with(
    rows: Sequence[R], row: R, key: Callable[[R], object], gone: bool = False
) -> tuple[R, ...]:
    """``rows`` with ``row`` instead of the one of its key, or at the end; or without it."""
    mine = key(row)
    if gone:
        return tuple(each for each in rows if key(each) != mine)
    if any(key(each) == mine for each in rows):
        return tuple(row if key(each) == mine else each for each in rows)
    return (*rows, row)
