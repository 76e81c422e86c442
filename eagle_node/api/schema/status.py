"""A node, the cluster that it sees, what it has moved and what it holds."""

from __future__ import annotations

from dataclasses import dataclass

from eagle_node.api.schema.settings import Setting


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
    rack: str = ""
    name: str = ""
    """What people call it; by default its host's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A node of the cluster, as the answering one sees it."""

    id: str
    address: str
    """IP address."""
    state: str
    """``alive``, ``suspect``, ``dead`` or ``left``."""
    roles: tuple[str, ...]
    zone: str
    rack: str = ""
    version: str = ""
    """Of its program; empty: not told."""
    voter: bool = False
    """Whether it votes in elections."""
    changed_s: float | None = None
    """Seconds since its state or its roles changed last; None: not known."""
    name: str = ""
    """What people call it, its host's name for one; several may have the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """``/v1/members``."""

    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A role that one node holds for a time."""

    name: str
    """``seeder-0``, ``tracker-1``, ``vip``."""
    holder: str | None
    """Node id; None: nobody has it."""
    epoch: int
    """Grows with each new holder."""
    expires_in_s: float | None = None
    """Seconds, unless it is renewed; told by its holder and by the leader only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VipStatus:
    """The virtual address."""

    address: str
    """With its prefix length."""
    holder: str | None
    """Id of the node that carries it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterStatus:
    """The cluster that the node belongs to."""

    name: str
    leader: str | None
    """Node id; None while roles are pinned rather than elected."""
    term: int
    """Of the leader; 0 without one."""
    members: tuple[Member, ...]
    voters: tuple[str, ...] = ()
    """Ids of the nodes that vote."""
    leases: tuple[Lease, ...] = ()
    """By name; none while roles are pinned."""
    settings: tuple[Setting, ...] = ()
    """What the cluster has agreed on."""
    vip: VipStatus | None = None
    """None: there is none."""


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
    last_served_s: float | None = None
    """Seconds since a client was last sent something; None: not since the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStatus:
    """The node's cache."""

    used_bytes: int
    limit_bytes: int
    """0: no limit."""
    blobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerdStatus:
    """containerd's content store, as far as blobs are offered from there."""

    path: str
    """containerd's root, or its content store."""
    trouble: str
    """Why it cannot be read, and the way out; empty when it can."""
    blobs: int
    """Verified ones; they take no room in the cache."""
    bytes: int
    waiting: int
    """Files that are to be verified."""
    wrong: int
    """Files whose bytes do not have the digest of their name: never used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryTrouble:
    """A registry that cannot be asked, or not now; what it last said is served meanwhile."""

    registry: str
    reason: str
    """For people."""
    for_s: float
    """Seconds since it last answered as it should."""
    retry_in_s: float
    """Seconds until it is asked again; 0: it is asked each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistriesStatus:
    """The registries that this node asks."""

    troubles: tuple[RegistryTrouble, ...] = ()
    stale_answers: int = 0
    """Answers since the start that rested on a registry's old word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """``/v1/status``."""

    node: NodeStatus
    cluster: ClusterStatus
    traffic: TrafficStatus
    cache: CacheStatus
    registries: RegistriesStatus = RegistriesStatus()
    containerd: ContainerdStatus | None = None
    """None: no blobs are offered from there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """``/healthz``."""

    healthy: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """``/readyz``."""

    ready: bool
    reasons: tuple[str, ...]
    """Why it is not, for people."""
