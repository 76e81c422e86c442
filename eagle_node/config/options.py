"""The table of options: it drives flags, environment, file, help texts and the README's table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eagle_node.config import host_kinds, kinds, place_kinds
from eagle_node.config.kinds import Kind

ENVIRONMENT_PREFIX = "EAGLE_NODE_"


@dataclass(frozen=True, slots=True)
class Option:
    """One thing to configure, under one name in all three sources."""

    name: str
    """The flag without its dashes, and the TOML key."""
    kind: Kind
    targets: tuple[str, ...]
    """Dotted fields of `eagle_node.config.tree.Config` that it sets; may be none."""
    help: str
    """What it does and its default, as a fragment of a sentence."""
    many: bool = False
    """May be given several times (a list in TOML, separated by blanks in the environment)."""

    @property
    def flag(self) -> str:
        """``--name``."""
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        """Name of the environment variable."""
        return ENVIRONMENT_PREFIX + self.name.upper().replace("-", "_")


_NODE = (
    Option(
        "role",
        kinds.ROLES,
        ("node.choice",),
        "auto: proxy and peer, and seeder and tracker as the cluster elects (--join says where it "
        "is found); or a list out of proxy, peer, seeder and tracker, to hold these and no others; "
        "auto may be one of the list (default: proxy,peer when both --seeder and --tracker are "
        "given, auto with --join or --vip, else all four)",
    ),
    Option(
        "data-dir",
        kinds.PATH,
        ("node.data_dir",),
        "where the node keeps everything; one process at a time (default: /var/lib/eagle-node for "
        "root, else eagle-node in $XDG_DATA_HOME or ~/.local/share)",
    ),
    Option(
        "advertise",
        kinds.REACHABLE_IP,
        ("node.advertise",),
        "IP address that other nodes reach this one at (default: the source of the route to them)",
    ),
    Option(
        "name",
        kinds.NAME,
        ("node.name",),
        "what people call this node, in status and dashboard (default: the host's name)",
    ),
    Option(
        "zone",
        kinds.TEXT,
        ("node.zone",),
        "data centre or availability zone; each border is crossed once per blob",
    ),
    Option("rack", kinds.TEXT, ("node.rack",), "rack within the zone"),
    Option(
        "group",
        kinds.TEXT,
        ("node.group",),
        "nodes of different groups do not see each other's blobs",
    ),
)

_CLUSTER = (
    Option(
        "seeder",
        kinds.address(55008),
        ("seeder.pinned",),
        "a seeder's metainfo service; repeatable; needed by nodes that are no seeder",
        many=True,
    ),
    Option(
        "tracker",
        kinds.TRACKER_URL,
        ("tracker.pinned",),
        "a tracker's base URL, http://HOST:6969; repeatable; needed by nodes that are no tracker",
        many=True,
    ),
    Option(
        "cluster",
        kinds.NAME,
        ("node.cluster",),
        "name of the cluster; nodes of other names are strangers (default: default)",
    ),
    Option(
        "cluster-key-file",
        kinds.PATH,
        ("node.cluster_key_file",),
        "file with the secret that admits a node; nodes then speak TLS, and only to each other",
    ),
    Option(
        "join",
        place_kinds.JOIN,
        ("discovery.join",),
        "where to find the cluster: a node or the virtual address (default port 7946), a name's "
        "SRV, A and AAAA records, or the local network; repeatable (default with --role auto: "
        "mdns)",
        many=True,
    ),
    Option(
        "resolver",
        place_kinds.RESOLVER,
        ("discovery.resolver",),
        "DNS server that --join asks (default: those of /etc/resolv.conf)",
    ),
    Option(
        "vip",
        place_kinds.VIP,
        ("vip.address",),
        "virtual address that one node of the cluster carries, and where it is looked for; needs "
        "CAP_NET_ADMIN and CAP_NET_RAW (default: none)",
    ),
    Option(
        "never",
        kinds.NEVER,
        ("cluster.never",),
        "comma-separated: what the cluster must not make of this node, out of seeder, tracker, vip "
        "and voter",
    ),
)

_REGISTRIES = (
    Option(
        "registry",
        kinds.REGISTRY,
        ("proxy.registries",),
        "where a registry name is really reached; repeatable; [[registry]] tables in the file also "
        "take ca-file, client-cert-file and client-key-file",
        many=True,
    ),
    Option(
        "default-registry",
        kinds.REGISTRY_NAME,
        ("proxy.default_registry",),
        "registry of requests that name none (default: docker.io)",
    ),
    Option(
        "only-configured",
        kinds.SWITCH,
        ("proxy.only_configured",),
        "refuse registries that no --registry names (default: false)",
    ),
    Option(
        "docker-config",
        kinds.PATH,
        ("proxy.docker_config",),
        "docker config.json with credentials for clients that send none: whoever reaches the proxy "
        "may then use them (default: none)",
    ),
    Option(
        "rule",
        kinds.RULE,
        ("proxy.rules",),
        "the forward proxy sends GETs of matching URLs, which must hold a sha256, through the "
        "swarm; repeatable",
        many=True,
    ),
    Option(
        "intercept",
        host_kinds.HOST_PATTERN,
        ("proxy.intercept",),
        "HTTPS host whose connections through the proxy are opened with the local CA (eagle-node "
        "ca); repeatable (default: the registries that --registry names)",
        many=True,
    ),
    Option(
        "tunnel",
        host_kinds.TUNNEL,
        ("proxy.tunnel",),
        "where HTTPS through the proxy may lead: to any host, to intercepted ones, or to none that "
        "cannot be opened; auto: any when --proxy-listen is on loopback, else intercepted "
        "(default: auto)",
    ),
)

_LISTENERS = (
    Option(
        "proxy-listen",
        kinds.address(43002),
        ("proxy.listen",),
        "mirror and forward proxy, for container runtimes (default: 127.0.0.1:43002)",
    ),
    Option(
        "api-listen",
        kinds.address(43003),
        ("api.listen",),
        "control API: status, metrics (default: 127.0.0.1:43003)",
    ),
    Option(
        "api-token-file",
        kinds.PATH,
        ("api.token_file",),
        "file with the secret that users of the control API must show; needed when it does not "
        "listen on loopback (default: none)",
    ),
    Option(
        "webhook-listen",
        kinds.address(43004),
        ("webhook.listen",),
        "where registries and Harbor tell of pushes, to be preheated (default: nowhere)",
    ),
    Option(
        "webhook-token-file",
        kinds.PATH,
        ("webhook.token_file",),
        "file with the secret that they must know; needed when this is not loopback "
        "(default: none)",
    ),
    Option(
        "webhook-nodes",
        kinds.WHICH,
        ("webhook.nodes",),
        "nodes that fetch what was pushed: all, seeders, zone=NAME or N% (default: seeders)",
    ),
    Option(
        "listen-host",
        kinds.IP,
        (
            "swarm.listen_host",
            "seeder.metainfo_listen.host",
            "tracker.listen.host",
            "cluster.gossip_listen.host",
            "cluster.raft_listen.host",
        ),
        "IP address that all ports listen on that other nodes use (default: all)",
    ),
    Option("swarm-port", kinds.PORT, ("swarm.port",), "BitTorrent (default: 61007)"),
    Option(
        "swarm-ssl-port",
        kinds.PORT,
        ("swarm.ssl_port",),
        "BitTorrent over TLS, instead of the swarm port, with a cluster key (default: 61008)",
    ),
    Option(
        "containerd-port",
        kinds.PORT,
        ("lending.port",),
        "blobs out of containerd's store, to other nodes (default: 61009)",
    ),
    Option(
        "metainfo-port",
        kinds.PORT,
        ("seeder.metainfo_listen.port",),
        "metainfo gRPC service of a seeder (default: 55008)",
    ),
    Option("tracker-port", kinds.PORT, ("tracker.listen.port",), "tracker's HTTP (default: 6969)"),
    Option(
        "gossip-port",
        kinds.PORT,
        ("cluster.gossip_listen.port",),
        "membership, UDP and TCP (default: 7946)",
    ),
    Option("raft-port", kinds.PORT, ("cluster.raft_listen.port",), "leases (default: 7947)"),
)

_LIMITS = (
    Option(
        "cache-size",
        kinds.SIZE,
        ("cache.size",),
        "limit for blobs, arriving ones included; 0: none (default: 20GiB)",
    ),
    Option(
        "cache-reserve",
        kinds.SIZE,
        ("cache.reserve",),
        "bytes of the file system that are never used (default: 1GiB)",
    ),
    Option(
        "containerd-content",
        place_kinds.STORE,
        ("lending.store",),
        "offer the blobs that containerd has already, out of its own content store: containerd's "
        "root directory, or auto, the one that its configuration names (default: none)",
    ),
    Option(
        "dedupe",
        kinds.SWITCH,
        ("lending.dedupe",),
        "with --containerd-content: drop the cache's copy of a blob once containerd has it "
        "(default: false)",
    ),
    Option(
        "upload-limit",
        kinds.SIZE,
        ("limits.upload",),
        "bytes/s to other hosts; 0: none (default: 0)",
    ),
    Option(
        "download-limit",
        kinds.SIZE,
        ("limits.download",),
        "bytes/s from other hosts; 0: none (default: 0)",
    ),
    Option(
        "storage",
        kinds.STORAGE_URL,
        ("seeder.storage",),
        "blob store behind a seeder's cache: file://, s3://, gs://, az:// (default: none)",
    ),
)

_TUNING = (
    Option(
        "access-ttl",
        kinds.SECONDS,
        ("proxy.access_ttl_s",),
        "how long the origin's yes for a client and a blob is remembered (default: 300)",
    ),
    Option(
        "denied-ttl",
        kinds.SECONDS,
        ("proxy.denied_ttl_s",),
        "how long its no is remembered (default: 10)",
    ),
    Option(
        "tag-ttl",
        kinds.SECONDS_OR_NONE,
        ("proxy.tag_ttl_s",),
        "how long what a tag names is asked for once for all nodes; 0: each node asks (default: 5)",
    ),
    Option(
        "stale-limit",
        kinds.SECONDS,
        ("proxy.stale_limit_s",),
        "how long after its last yes cached content is served while it is down (default: 86400)",
    ),
    Option(
        "swarm-window",
        kinds.count(least=1),
        ("swarm.window",),
        "segments of one blob that download from one parent at a time (default: 6)",
    ),
    Option(
        "swarm-stall",
        kinds.SECONDS,
        ("swarm.stall_s",),
        "time without progress after which a source is replaced (default: 3)",
    ),
    Option(
        "swarm-torrents",
        kinds.count(least=1),
        ("swarm.most_torrents",),
        "segments that are offered at a time; older blobs wait until used again (default: 4000)",
    ),
    Option(
        "unchoke-slots",
        kinds.count(least=1),
        ("swarm.unchoke_slots",),
        "peers that may download from this node at a time (default: 64)",
    ),
    Option(
        "measure-links",
        kinds.SWITCH,
        ("swarm.measure_links",),
        "whether idle nodes measure their links, at most 2 MiB from each of two others in ten "
        "minutes, so that nobody waits for slow ones, and layers take turns on slow links "
        "(default: true)",
    ),
    Option(
        "containerd-verify-rate",
        kinds.SIZE,
        ("lending.verify_rate",),
        "bytes/s read to verify blobs of containerd's store before they are offered; 0: as fast "
        "as the disk is (default: 100MiB)",
    ),
    Option(
        "origin-timeout",
        kinds.SECONDS,
        ("seeder.origin_timeout_s",),
        "silence after which an origin connection is given up and resumed (default: 15)",
    ),
    Option(
        "origin-retries",
        kinds.count(least=0),
        ("seeder.origin_retries",),
        "resumptions without progress before an origin fetch fails (default: 4)",
    ),
    Option(
        "prefetch",
        kinds.SIZE,
        ("seeder.prefetch",),
        "bytes of images whose manifest was read that seeders fetch before anybody asks for them, "
        "at most a quarter of the cache; 0: none (default: 8GiB)",
    ),
    Option(
        "tracker-interval",
        kinds.SECONDS,
        ("tracker.interval_s",),
        "time between announces; who misses two is gone (default: 30)",
    ),
)

_LOGGING = (
    Option(
        "log-format",
        kinds.one_of("text", "json"),
        ("log.format",),
        "lines on standard error (default: text)",
    ),
    Option(
        "log-level",
        kinds.one_of("debug", "info", "warning", "error"),
        ("log.level",),
        "least severe lines that are written (default: info)",
    ),
    Option(
        "otlp-endpoint",
        kinds.OTLP_URL,
        ("trace.endpoint",),
        "base URL of an OpenTelemetry collector (OTLP over HTTP) that gets traces; needs the extra "
        "eagle-node[otel] (default: OTEL_EXPORTER_OTLP_ENDPOINT, else none)",
    ),
)

GROUPS: Mapping[str, tuple[Option, ...]] = {
    "node": _NODE,
    "cluster": _CLUSTER,
    "registries": _REGISTRIES,
    "listeners (port 0: any free one)": _LISTENERS,
    "cache and limits": _LIMITS,
    "logs and traces": _LOGGING,
    "tuning": _TUNING,
}
"""Options under their headings, in the order of the help texts."""

OPTIONS: Mapping[str, Option] = {
    option.name: option for group in GROUPS.values() for option in group
}
"""Options by name."""
