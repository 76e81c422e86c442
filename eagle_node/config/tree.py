"""The configuration tree. A field's docstring is its help text; its default is the product's."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path

from eagle_node.config.hosts import HostPattern, TunnelPolicy
from eagle_node.config.places import JoinTarget, VipAddress
from eagle_node.runtime.sockets import Address

MIB = 1 << 20
GIB = 1 << 30


class Role(enum.StrEnum):
    """What a process can be for others."""

    PROXY = "proxy"
    PEER = "peer"
    SEEDER = "seeder"
    TRACKER = "tracker"


ELECTABLE = frozenset({Role.SEEDER, Role.TRACKER})
"""Roles that a lease can give to a node."""
EXCLUDABLE = ("seeder", "tracker", "vip", "voter")
"""What a node can be kept from: elected roles, the virtual address, a vote in elections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleChoice:
    """What ``--role`` says."""

    auto: bool = False
    """The cluster may give this node more roles."""
    roles: frozenset[Role] = frozenset()
    """Roles that it holds in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """Who this node is."""

    choice: RoleChoice | None = None
    """Roles that were asked for; default: what the pinned seeders and trackers leave to do."""
    roles: frozenset[Role] = frozenset(Role)
    """Roles that this process holds from its start to its end."""
    data_dir: Path = Path("/var/lib/eagle-node")
    """Everything that the node keeps; one process at a time."""
    advertise: str | None = None
    """IP address that other nodes reach this one at; default: the source of the route to them."""
    name: str = ""
    """What people call this node; default: the host's name. Only the node id tells nodes apart."""
    cluster: str = "default"
    """Name of the cluster; nodes of other names are strangers."""
    cluster_key_file: Path | None = None
    """File with the secret that admits a node to the cluster."""
    zone: str = ""
    """Label of the data centre or availability zone; each border is crossed once per blob."""
    rack: str = ""
    """Label of the rack within the zone."""
    group: str = ""
    """Nodes of different groups do not see each other's blobs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterConfig:
    """Gossip, leases, elected roles."""

    enabled: bool = False
    """Find the other nodes, and have roles elected."""
    elected: frozenset[Role] = frozenset()
    """Roles that this process holds while a lease says so."""
    never: frozenset[str] = frozenset()
    """What this node must not be given (`EXCLUDABLE`)."""
    gossip_listen: Address = Address("0.0.0.0", 7946)
    """Listener of the membership's datagrams and connections."""
    raft_listen: Address = Address("0.0.0.0", 7947)
    """Listener of the connections about leases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryConfig:
    """Where this node looks for its cluster."""

    join: tuple[JoinTarget, ...] = ()
    """Places to look at, all of them, again and again."""
    resolver: Address | None = None
    """DNS server to ask; default: those of ``/etc/resolv.conf``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VipConfig:
    """The virtual address."""

    address: VipAddress | None = None
    """Address that the holder of its lease puts on an interface; default: there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryConfig:
    """Where one registry name is really reached, and how it is trusted."""

    name: str
    """The name in image references, ``host`` or ``host:port``."""
    url: str
    """Base URL, ``https://host[:port]`` or ``http://…`` for a plain-HTTP registry."""
    ca_file: Path | None = None
    """PEM bundle that signs the registry's certificate, instead of the system's."""
    client_cert_file: Path | None = None
    """PEM client certificate to present."""
    client_key_file: Path | None = None
    """PEM key of the client certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyConfig:
    """The side that the container runtime talks to."""

    listen: Address = Address("127.0.0.1", 43002)
    """Listener of the mirror and forward proxy."""
    default_registry: str = "docker.io"
    """Registry of requests that name none."""
    registries: tuple[RegistryConfig, ...] = ()
    """Registries that are reached elsewhere than their name says."""
    only_configured: bool = False
    """Refuse registries that are not in ``registries``."""
    rules: tuple[str, ...] = ()
    """Regular expressions over the URL; GETs that match one go through the swarm as well."""
    intercept: tuple[HostPattern, ...] = ()
    """HTTPS hosts that are opened with the local CA; default: those of ``registries``."""
    tunnel: TunnelPolicy = TunnelPolicy.AUTO
    """Where ``CONNECT`` may lead."""
    docker_config: Path | None = None
    """docker ``config.json`` with the node's own credentials; default: none are used."""
    access_ttl_s: float = 300.0
    """How long the origin's yes for (client credentials, repository, digest) is remembered."""
    denied_ttl_s: float = 10.0
    """How long its no is remembered."""
    tag_ttl_s: float = 5.0
    """How long a seeder gives all nodes its last answer to the same reader's question for a tag;
    0: it asks each time, and this node asks for tags itself."""
    stale_limit_s: float = 86400.0
    """How long after the origin's last yes cached content is served while the origin is down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheConfig:
    """Committed and arriving blobs."""

    size: int = 20 * GIB
    """Limit in bytes for blobs, arriving ones included; 0 is none."""
    reserve: int = 1 * GIB
    """Bytes of the file system that are never used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreChoice:
    """What ``--containerd-content`` says."""

    path: Path | None = None
    """containerd's root, or its content store; None: as its own configuration says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LendingConfig:
    """Blobs that containerd has already."""

    store: StoreChoice | None = None
    """The content store that blobs are offered from; default: none is."""
    dedupe: bool = False
    """Drop the cache's copy of what containerd has."""
    port: int = 61009
    """TCP port at which peers get these blobs."""
    verify_rate: int = 100 * MIB
    """Bytes/s that are read to verify what nobody waits for; 0: as fast as the disk is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsConfig:
    """Bounds over all traffic of this node with other hosts."""

    upload: int = 0
    """Bytes/s; 0 is no limit."""
    download: int = 0
    """Bytes/s; 0 is no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmConfig:
    """BitTorrent."""

    port: int = 61007
    """TCP port of the swarm."""
    ssl_port: int = 61008
    """TCP port of the swarm when a cluster key is set (SSL torrents)."""
    listen_host: str = ""
    """IP to listen on; default: the advertised one, or all when that is not this machine's."""
    window: int = 6
    """Segments of one blob that download at a time from one parent; in large swarms it has two.

    Each is a connection of its own, and starts slowly. Six nodes at 50 Mbit/s take 1.075 times a
    direct download with six at a time, 1.08 with four; a warm wave of twenty 1.075 and 1.094."""
    stall_s: float = 3.0
    """Seconds without progress after which a source is replaced."""
    most_torrents: int = 4000
    """Segments that are offered at a time; older blobs wait until they are used again."""
    unchoke_slots: int = 64
    """Peers that may download from this node at a time."""
    measure_links: bool = True
    """Whether idle nodes measure their links against each other now and then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeederConfig:
    """Fetching, segmenting and first upload."""

    metainfo_listen: Address = Address("0.0.0.0", 55008)
    """Listener of the metainfo gRPC service."""
    storage: str = ""
    """URL of the blob store behind the cache (``file://``, ``s3://`` …); none by default."""
    pinned: tuple[Address, ...] = ()
    """Seeders to use, no election."""
    origin_timeout_s: float = 15.0
    """Seconds without a byte after which an origin connection is given up and resumed."""
    origin_retries: int = 4
    """Resumptions without progress before an origin fetch fails."""
    prefetch: int = 8 * GIB
    """Bytes of images whose manifests were asked for that a seeder fetches before anybody asks for
    them, at most a quarter of the cache; 0: none are, and none are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerConfig:
    """Who has what."""

    listen: Address = Address("0.0.0.0", 6969)
    """Listener of announces and of the nodes' tracker calls."""
    pinned: tuple[str, ...] = ()
    """Tracker base URLs to use, no election."""
    interval_s: float = 30.0
    """Seconds between announces; who misses two is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiConfig:
    """Control API."""

    listen: Address = Address("127.0.0.1", 43003)
    """Listener of status, metrics and control."""
    token_file: Path | None = None
    """File with the secret that callers must show; needed off loopback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookConfig:
    """What registries tell of pushes."""

    listen: Address | None = None
    """Listener for registries' notifications and Harbor; default: there is none."""
    token_file: Path | None = None
    """File with the secret that senders must know; needed off loopback."""
    nodes: str = "seeders"
    """Nodes that fetch what was pushed: ``all``, ``seeders``, ``zone=NAME`` or ``N%``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """Log lines on standard error."""

    format: str = "text"
    """``text`` or ``json``."""
    level: str = "info"
    """``debug``, ``info``, ``warning`` or ``error``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceConfig:
    """Spans for a trace collector."""

    endpoint: str = ""
    """Base URL of an OTLP/HTTP collector; none by default: no span is recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything."""

    node: NodeConfig = field(default_factory=NodeConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    discovery: DiscoveryConfig = field(default_factory=DiscoveryConfig)
    vip: VipConfig = field(default_factory=VipConfig)
    proxy: ProxyConfig = field(default_factory=ProxyConfig)
    cache: CacheConfig = field(default_factory=CacheConfig)
    lending: LendingConfig = field(default_factory=LendingConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    swarm: SwarmConfig = field(default_factory=SwarmConfig)
    seeder: SeederConfig = field(default_factory=SeederConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    api: ApiConfig = field(default_factory=ApiConfig)
    webhook: WebhookConfig = field(default_factory=WebhookConfig)
    log: LogConfig = field(default_factory=LogConfig)
    trace: TraceConfig = field(default_factory=TraceConfig)
