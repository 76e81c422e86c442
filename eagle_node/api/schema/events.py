"""What happens at a node, one event at a time (``/v1/events``)."""

from __future__ import annotations

from dataclasses import dataclass

from eagle_node.api.schema.blobs import BlobRow
from eagle_node.api.schema.preheat import PreheatJob
from eagle_node.api.schema.settings import Setting
from eagle_node.api.schema.status import Lease, Member
from eagle_node.api.schema.transfers import TransferRow

EVENT_KINDS = (
    "gap",
    "log",
    "transfer-started",
    "transfer-progress",
    "transfer-finished",
    "transfer-failed",
    "blob-added",
    "blob-evicted",
    "blob-changed",
    "member-joined",
    "member-suspect",
    "member-changed",
    "member-gone",
    "leader-changed",
    "lease-moved",
    "preheat-changed",
    "setting-changed",
)
"""Kinds of events; newer nodes may have further ones. ``gap``: some were missed, so that what is
known of the node should be asked for again; ``transfer-progress`` comes at most once a second for
each transfer and is not kept for those who come later, nor is a ``preheat-changed`` that tells of
nothing but further bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line of the node's log."""

    level: str
    """``debug``, ``info``, ``warning``, ``error`` or ``critical``."""
    logger: str
    request: str
    """Id of the client's request that it belongs to; empty: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened. At most one of the parts after ``text`` is there, by ``kind``."""

    id: str
    """For ``Last-Event-ID``; empty: it is not kept."""
    time: str
    """RFC 3339, UTC."""
    kind: str
    """See `EVENT_KINDS`."""
    subject: str
    """Digest, node id, lease, job, key or logger."""
    text: str
    """For people."""
    log: LogLine | None = None
    transfer: TransferRow | None = None
    blob: BlobRow | None = None
    member: Member | None = None
    lease: Lease | None = None
    job: PreheatJob | None = None
    setting: Setting | None = None
