"""What the control API tells about a node's parts."""

from __future__ import annotations

from collections.abc import Sequence

from eagle_node import __version__
from eagle_node.api import schema
from eagle_node.base.errors import NoSpace
from eagle_node.blobs.cache import Cache
from eagle_node.cluster.service import Cluster
from eagle_node.config.tree import Config
from eagle_node.lending.service import RuntimeStore
from eagle_node.metrics.instruments import Metrics, by_label, total
from eagle_node.node.cluster_view import ClusterView
from eagle_node.registry.upstream import Upstream
from eagle_node.runtime.clock import monotonic
from eagle_node.swarm.session import Swarm
from eagle_node.tracker.schema import NodeInfo


class NodeStatus:
    """The node, its cluster, traffic and cache; whether it can serve."""

    def __init__(
        self,
        *,
        config: Config,
        info: NodeInfo,
        metrics: Metrics,
        cache: Cache,
        swarm: Swarm,
        cluster: Cluster | None,
        view: ClusterView | None,
        upstream: Upstream,
        lending: RuntimeStore | None = None,
    ) -> None:
        self._lending = lending
        self._upstream = upstream
        self._config = config
        self._info = info
        self._cluster = cluster
        self._view = view
        self._metrics = metrics
        self._cache = cache
        self._swarm = swarm
        self._started = monotonic()

    async def status(self) -> schema.Status:
        """The node's state; traffic of the swarm up to this moment."""
        await self._swarm.refresh_traffic()
        elected = self._cluster.roles if self._cluster is not None else frozenset()
        roles = tuple(sorted(self._config.node.roles | elected))
        info, zone = self._info, self._config.node.zone
        return schema.Status(
            node=schema.NodeStatus(
                id=info.node_id,
                address=info.host,
                roles=roles,
                zone=zone,
                version=__version__,
                uptime_s=round(monotonic() - self._started, 3),
                rack=self._config.node.rack,
                name=self._config.node.name,
            ),
            cluster=self._cluster_status(
                schema.Member(
                    id=info.node_id,
                    address=info.host,
                    state="alive",
                    roles=roles,
                    zone=zone,
                    rack=self._config.node.rack,
                    version=__version__,
                    name=self._config.node.name,
                )
            ),
            traffic=self._traffic(),
            cache=schema.CacheStatus(
                used_bytes=self._cache.used,
                limit_bytes=self._cache.limit,
                blobs=len(self._cache),
            ),
            registries=schema.RegistriesStatus(
                troubles=tuple(
                    schema.RegistryTrouble(
                        registry=each.registry,
                        reason=each.reason,
                        for_s=round(each.for_s, 3),
                        retry_in_s=round(each.retry_in_s, 3),
                    )
                    for each in self._upstream.troubles()
                ),
                stale_answers=total(self._metrics.stale_answers),
            ),
            containerd=self._containerd(),
        )

    async def ready(self) -> Sequence[str]:
        """Why the node cannot serve clients well now."""
        reasons = list(self._cluster.unready()) if self._cluster is not None else []
        try:
            self._cache.check_room()
        except NoSpace as error:
            reasons.append(str(error))
        return reasons

    def _cluster_status(self, own: schema.Member) -> schema.ClusterStatus:
        if self._view is not None:
            return self._view.status(own)
        name = self._config.node.cluster
        return schema.ClusterStatus(name=name, leader=None, term=0, members=(own,))

    def _containerd(self) -> schema.ContainerdStatus | None:
        if self._lending is None:
            return None
        state = self._lending.state
        return schema.ContainerdStatus(
            path=str(state.path),
            trouble=state.trouble,
            blobs=state.blobs,
            bytes=state.size,
            waiting=state.waiting,
            wrong=state.wrong,
        )

    def _traffic(self) -> schema.TrafficStatus:
        metrics = self._metrics
        served = by_label(metrics.served_bytes)
        served_at = metrics.served_at
        return schema.TrafficStatus(
            origin_bytes=total(metrics.origin_bytes),
            peer_download_bytes=total(metrics.peer_download_bytes),
            peer_upload_bytes=total(metrics.peer_upload_bytes),
            served_bytes=sum(served.values()),
            served_from=schema.ServedFrom(
                local=served.get("local", 0),
                swarm=served.get("swarm", 0),
                origin=served.get("origin", 0),
            ),
            last_served_s=None if served_at is None else round(monotonic() - served_at, 3),
        )
