"""All metric names. One `Metrics` per node, so that several nodes can live in one process."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from eagle_node.metrics.negotiation import Format
from eagle_node.runtime.clock import monotonic

Source = Literal["local", "swarm", "origin"]
"""Where bytes served to a client came from: the cache, other nodes, or the registry."""

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


def _counter(name: str, what: str, *labels: str) -> Any:
    return partial(Counter, name, what, labels)


def _gauge(name: str, what: str, *labels: str) -> Any:
    return partial(Gauge, name, what, labels)


def _histogram(name: str, what: str) -> Any:
    return partial(Histogram, name, what, buckets=_SECONDS)


class Metrics:
    """The instruments of one node, each made from its row of this table."""

    origin_bytes: Counter = _counter("eagle_origin_bytes", "Bytes fetched from origin registries")
    origin_requests: Counter = _counter(
        "eagle_origin_requests", "Requests to origin registries", "method"
    )
    storage_bytes: Counter = _counter(
        "eagle_storage_bytes", "Bytes fetched from the seeder's blob store"
    )
    peer_download_bytes: Counter = _counter(
        "eagle_peer_download_bytes", "Payload bytes received from other nodes"
    )
    peer_upload_bytes: Counter = _counter(
        "eagle_peer_upload_bytes", "Payload bytes sent to other nodes"
    )
    served_bytes: Counter = _counter(
        "eagle_served_bytes", "Blob and manifest bytes sent to clients", "source"
    )
    requests: Counter = _counter(
        "eagle_proxy_requests", "Client requests by kind and status", "kind", "status"
    )
    connects: Counter = _counter(
        "eagle_proxy_connects",
        "HTTPS connections through the proxy: opened, tunnelled, refused or failed",
        "outcome",
    )
    tunnel_bytes: Counter = _counter(
        "eagle_proxy_tunnel_bytes", "Bytes passed on through tunnels, unseen", "direction"
    )
    first_byte_seconds: Histogram = _histogram(
        "eagle_proxy_first_byte_seconds", "From a blob request to its first body byte"
    )
    blob_seconds: Histogram = _histogram(
        "eagle_blob_fetch_seconds", "From a cache miss to the committed blob"
    )
    blob_failures: Counter = _counter(
        "eagle_blob_fetch_failures", "Blob fetches that failed, by cause", "cause"
    )
    fallbacks: Counter = _counter("eagle_fallbacks", "Stages of degradation taken", "to")
    stale_answers: Counter = _counter(
        "eagle_stale_answers", "Answers on a registry's old word, since it cannot be asked", "kind"
    )
    relays: Counter = _counter(
        "eagle_registry_relays",
        "Questions for registries by way of the seeder that owns the name",
        "outcome",
    )
    link_rate_bytes: Gauge = _gauge(
        "eagle_link_rate_bytes",
        "Bytes/s from the best of the nodes that this one's link was measured against",
    )
    cache_used_bytes: Gauge = _gauge(
        "eagle_cache_used_bytes", "Bytes held and reserved in the cache"
    )
    cache_limit_bytes: Gauge = _gauge("eagle_cache_limit_bytes", "The cache limit; 0 is none")
    cache_blobs: Gauge = _gauge("eagle_cache_blobs", "Committed blobs in the cache")
    cache_evictions: Counter = _counter("eagle_cache_evictions", "Blobs evicted")
    wrong_content: Counter = _counter(
        "eagle_wrong_content", "Blobs discarded for a wrong digest", "source"
    )
    wrong_pieces: Counter = _counter(
        "eagle_wrong_pieces", "Pieces of blobs from other nodes, discarded for a wrong hash"
    )
    prefetches: Counter = _counter(
        "eagle_seeder_prefetches",
        "Blobs that a manifest named and that were not here: fetched ahead or left",
        "outcome",
    )
    tracker_announces: Counter = _counter(
        "eagle_tracker_announces", "BitTorrent announces answered"
    )
    tracker_plans: Counter = _counter("eagle_tracker_plans", "Plans handed out")
    members: Gauge = _gauge(
        "eagle_members", "Nodes in this node's view of the cluster, by state", "state"
    )
    member_deaths: Counter = _counter("eagle_member_deaths", "Members that were found dead")
    gossip_health: Gauge = _gauge(
        "eagle_gossip_health",
        "Lifeguard's local health: 0 is healthy, more means that this process is slow",
    )
    gossip_bytes: Counter = _counter(
        "eagle_gossip_bytes", "Gossip sent and received", "transport", "direction"
    )
    gossip_ignored: Counter = _counter(
        "eagle_gossip_ignored",
        "Datagrams and connections that are not of this cluster, by reason",
        "reason",
    )

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for attribute, make in vars(Metrics).items():
            if isinstance(make, partial):
                setattr(self, attribute, make(registry=self.registry))
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
