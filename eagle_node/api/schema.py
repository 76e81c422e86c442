"""The documents of the control API. Keys of the JSON are the field names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """The node that answers."""

    id: str
    address: str
    """IP address that other nodes reach it at."""
    roles: tuple[str, ...]
    """Sorted."""
    zone: str
    version: str
    uptime_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A node of the cluster, as the answering one sees it."""

    id: str
    address: str
    state: str
    roles: tuple[str, ...]
    zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterStatus:
    """The cluster that the node belongs to."""

    name: str
    leader: str | None
    """Node id; None while roles are pinned rather than elected."""
    term: int
    """Of the leader; 0 without one."""
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedFrom:
    """Bytes sent to clients, by where they came from."""

    local: int
    """The cache."""
    swarm: int
    """Other nodes."""
    origin: int
    """The registry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficStatus:
    """Bytes moved since the node started."""

    origin_bytes: int
    """Received from registries."""
    peer_download_bytes: int
    peer_upload_bytes: int
    served_bytes: int
    """Sent to clients."""
    served_from: ServedFrom


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStatus:
    """The node's cache."""

    used_bytes: int
    limit_bytes: int
    """0: no limit."""
    blobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """``/v1/status``."""

    node: NodeStatus
    cluster: ClusterStatus
    traffic: TrafficStatus
    cache: CacheStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobRow:
    """A blob in the cache or on its way there."""

    digest: str
    size: int
    have_bytes: int
    """Verified bytes; ``size`` once the blob is whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blobs:
    """``/v1/blobs``, most recently used last."""

    blobs: tuple[BlobRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """``/readyz``."""

    ready: bool
    reasons: tuple[str, ...]
    """Why it is not, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An error (RFC 9457)."""

    type: str
    """A URI; ``about:blank`` when the status says all."""
    title: str
    status: int
    detail: str
    instance: str
    """Path of the request."""
