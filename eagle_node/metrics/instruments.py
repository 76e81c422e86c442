"""All metric names. One `Metrics` per node, so that several nodes can live in one process."""

from __future__ import annotations

from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from eagle_node.metrics.negotiation import Format
from eagle_node.runtime.clock import monotonic

Source = Literal["local", "swarm", "origin"]
"""Where bytes served to a client came from: the cache, other nodes, or the registry."""

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Metrics:
    """The instruments; attribute names are the metric names without the ``eagle_`` prefix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self.origin_bytes = Counter(
            "eagle_origin_bytes", "Bytes fetched from origin registries", registry=r
        )
        self.origin_requests = Counter(
            "eagle_origin_requests", "Requests to origin registries", ["method"], registry=r
        )
        self.storage_bytes = Counter(
            "eagle_storage_bytes", "Bytes fetched from the seeder's blob store", registry=r
        )
        self.peer_download_bytes = Counter(
            "eagle_peer_download_bytes", "Payload bytes received from other nodes", registry=r
        )
        self.peer_upload_bytes = Counter(
            "eagle_peer_upload_bytes", "Payload bytes sent to other nodes", registry=r
        )
        self.served_bytes = Counter(
            "eagle_served_bytes", "Blob and manifest bytes sent to clients", ["source"], registry=r
        )
        self.requests = Counter(
            "eagle_proxy_requests",
            "Client requests by kind and status",
            ["kind", "status"],
            registry=r,
        )
        self.connects = Counter(
            "eagle_proxy_connects",
            "HTTPS connections through the proxy: opened, tunnelled, refused or failed",
            ["outcome"],
            registry=r,
        )
        self.tunnel_bytes = Counter(
            "eagle_proxy_tunnel_bytes",
            "Bytes passed on through tunnels, unseen",
            ["direction"],
            registry=r,
        )
        self.first_byte_seconds = Histogram(
            "eagle_proxy_first_byte_seconds",
            "From a blob request to its first body byte",
            registry=r,
            buckets=_SECONDS,
        )
        self.blob_seconds = Histogram(
            "eagle_blob_fetch_seconds",
            "From a cache miss to the committed blob",
            registry=r,
            buckets=_SECONDS,
        )
        self.blob_failures = Counter(
            "eagle_blob_fetch_failures", "Blob fetches that failed, by cause", ["cause"], registry=r
        )
        self.fallbacks = Counter(
            "eagle_fallbacks", "Stages of degradation taken", ["to"], registry=r
        )
        self.stale_answers = Counter(
            "eagle_stale_answers",
            "Answers on a registry's old word, since it cannot be asked",
            ["kind"],
            registry=r,
        )
        self.relays = Counter(
            "eagle_registry_relays",
            "Questions for registries by way of the seeder that owns the name",
            ["outcome"],
            registry=r,
        )
        self.cache_used_bytes = Gauge(
            "eagle_cache_used_bytes", "Bytes held and reserved in the cache", registry=r
        )
        self.cache_limit_bytes = Gauge(
            "eagle_cache_limit_bytes", "The cache limit; 0 is none", registry=r
        )
        self.cache_blobs = Gauge("eagle_cache_blobs", "Committed blobs in the cache", registry=r)
        self.cache_evictions = Counter("eagle_cache_evictions", "Blobs evicted", registry=r)
        self.wrong_content = Counter(
            "eagle_wrong_content", "Blobs discarded for a wrong digest", ["source"], registry=r
        )
        self.prefetches = Counter(
            "eagle_seeder_prefetches",
            "Blobs that a manifest named and that were not here: fetched ahead or left",
            ["outcome"],
            registry=r,
        )
        self.tracker_announces = Counter(
            "eagle_tracker_announces", "BitTorrent announces answered", registry=r
        )
        self.tracker_plans = Counter("eagle_tracker_plans", "Plans handed out", registry=r)
        self.members = Gauge(
            "eagle_members",
            "Nodes in this node's view of the cluster, by state",
            ["state"],
            registry=r,
        )
        self.member_deaths = Counter(
            "eagle_member_deaths", "Members that were found dead", registry=r
        )
        self.gossip_health = Gauge(
            "eagle_gossip_health",
            "Lifeguard's local health: 0 is healthy, more means that this process is slow",
            registry=r,
        )
        self.gossip_bytes = Counter(
            "eagle_gossip_bytes", "Gossip sent and received", ["transport", "direction"], registry=r
        )
        self.gossip_ignored = Counter(
            "eagle_gossip_ignored",
            "Datagrams and connections that are not of this cluster, by reason",
            ["reason"],
            registry=r,
        )

        self.served_at: float | None = None
        """When a client was last sent something; seconds of the monotonic clock."""

    def served(self, source: Source, count: int) -> None:
        """Count ``count`` body bytes sent to a client."""
        self.served_at = monotonic()
        self.served_bytes.labels(source).inc(count)

    def exposition(self, form: Format = Format.TEXT) -> bytes:
        """Every instrument's value, as Prometheus text or OpenMetrics."""
        if form is Format.OPENMETRICS:
            encoded: bytes = openmetrics.generate_latest(self.registry)  # type: ignore[no-untyped-call]
            return encoded
        return generate_latest(self.registry)


def total(counter: Counter | Gauge) -> int:
    """The current value of an instrument, summed over its labels."""
    return int(
        sum(
            sample.value
            for family in counter.collect()
            for sample in family.samples
            if not sample.name.endswith("_created")
        )
    )


def by_label(counter: Counter) -> dict[str, int]:
    """The current values of a counter that has one label, by the label's value."""
    return {
        next(iter(sample.labels.values())): int(sample.value)
        for family in counter.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }
