"""Who this node is, where it listens, and which seeders and trackers it knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from yarl import URL

from eagle_node.cluster.service import Cluster
from eagle_node.config.tree import Config, Role
from eagle_node.node.identity import advertised_host, node_id
from eagle_node.runtime.sockets import Address
from eagle_node.tracker.schema import NodeInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePorts:
    """Where a node listens; 0: it does not."""

    proxy: int
    api: int
    swarm: int
    metainfo: int
    tracker: int
    gossip: int
    raft: int
    webhook: int
    containerd: int


class Place:
    """This node among others; ``sealed``: nodes with a cluster key speak TLS to each other."""

    def __init__(self, config: Config, *, sealed: bool) -> None:
        self._config = config
        self._sealed = sealed
        self.host = advertised_host(config)
        self.node_id = node_id(config.node.data_dir)
        self.cluster: Cluster | None = None
        """Set while roles are elected."""
        self.listeners: dict[str, int] = dict.fromkeys(NodePorts.__dataclass_fields__, 0)
        self.own_seeders: set[Address] = set()
        self.own_trackers: set[str] = set()

    @property
    def ports(self) -> NodePorts:
        """Where the node listens."""
        return NodePorts(**self.listeners)

    @property
    def info(self) -> NodeInfo:
        """The node as its trackers see it."""
        node, limits = self._config.node, self._config.limits
        return NodeInfo(
            node_id=self.node_id,
            host=self.host,
            port=self.listeners["swarm"],
            zone=node.zone,
            rack=node.rack,
            group=node.group,
            upload_rate=limits.upload,
            seeder=Role.SEEDER in self.roles,
        )

    @property
    def roles(self) -> frozenset[Role]:
        """Roles that the node holds now."""
        elected = self.cluster.roles if self.cluster is not None else frozenset()
        return self._config.node.roles | elected

    def runs(self, role: Role) -> bool:
        """Whether the node holds ``role``, or may be given it."""
        return role in self._config.node.roles | self._config.cluster.elected

    def seeders(self) -> Sequence[Address]:
        """Metainfo services of the cluster; this node's own among them if it is a seeder."""
        found = {*self._config.seeder.pinned}
        if self.cluster is None:
            found |= self.own_seeders
        else:
            found |= self.cluster.directory.addresses[Role.SEEDER]
        return sorted(found, key=str)

    def trackers(self) -> Sequence[str]:
        """Base URLs of the cluster's trackers; this node's own among them if it is a tracker."""
        found = {*map(self.tracker_url, self._config.tracker.pinned)}
        if self.cluster is None:
            found |= self.own_trackers
        else:
            elected = self.cluster.directory.addresses[Role.TRACKER]
            found |= {self.tracker_url(f"http://{address}") for address in elected}
        return sorted(found)

    def tracker_url(self, url: str) -> str:
        """A tracker's base URL: nodes with a cluster key speak TLS to each other."""
        scheme = "https" if self._sealed else "http"
        return str(URL(url).with_scheme(scheme)).rstrip("/")

    def announce_urls(self) -> Sequence[str]:
        """The trackers as torrents name them; with a cluster key, libtorrent cannot reach them."""
        if self._sealed:
            return []
        return [f"{url}/announce" for url in self.trackers()]
