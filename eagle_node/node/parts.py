"""The parts of a node that all others build on, and what they know of the cluster."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

from yarl import URL

from eagle_node import __version__
from eagle_node.api.event_log import EventLog
from eagle_node.base.digest import Digest
from eagle_node.base.rendezvous import rendezvous
from eagle_node.blobs.cache import Cache
from eagle_node.cluster.service import Cluster
from eagle_node.config.tree import Config, Role, SwarmConfig
from eagle_node.lending.service import RuntimeStore
from eagle_node.metainfo.client import MetaInfoClient
from eagle_node.metainfo.messages import PrefetchRequest
from eagle_node.metrics.instruments import Metrics
from eagle_node.node.identity import advertised_host, is_local, node_id
from eagle_node.node.images import Images
from eagle_node.peer.advertise import Advertiser
from eagle_node.peer.discretion import Discretion
from eagle_node.peer.looks import Looker, RemoteLooker
from eagle_node.peer.relay import Asker, Relay, RemoteDesk
from eagle_node.preheat.jobs import Preheater
from eagle_node.registry.access import Access, AccessMemory
from eagle_node.registry.file_store import FileStore
from eagle_node.registry.manifest_store import ManifestStore
from eagle_node.registry.rights import Rights
from eagle_node.registry.upstream import Upstream
from eagle_node.runtime.sockets import Address
from eagle_node.runtime.tracing import Tracer
from eagle_node.seeder.desk import RegistryDesk
from eagle_node.seeder.looks import FileLooks
from eagle_node.seeder.service import SeederService
from eagle_node.swarm.events import Traffic
from eagle_node.swarm.governor import GOVERN_INTERVAL_S, Governor
from eagle_node.swarm.session import Swarm, TorrentIdentity
from eagle_node.swarm.transfers import Transfers
from eagle_node.tracker.schema import NodeInfo
from eagle_node.trust.certificates import node_identity
from eagle_node.trust.keyfile import KeyFile


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


class Parts:
    """The parts of one node; `build` makes them, the exit stack that it was given ends them."""

    def __init__(self, config: Config, stack: AsyncExitStack) -> None:
        self.config = config
        self.stack = stack
        self.metrics = Metrics()
        self.tracer: Tracer | None = None
        """Records what requests cost; None: nobody wants to know."""
        self.host = advertised_host(config)
        path = config.node.cluster_key_file
        self.key_file = KeyFile(path) if path is not None else None
        self.identity = node_identity(self.key_file.keys) if self.key_file is not None else None
        swarm = _swarm_config(config, self.host)
        self.swarm = Swarm(swarm, identity=_torrent_identity(self))
        self.swarm_host = swarm.listen_host or ("::" if ":" in self.host else "0.0.0.0")
        """Where other nodes' connections for blobs are accepted."""
        self.governor = Governor(
            config.limits, lambda up, down: self.swarm.limit(upload=up, download=down)
        )
        self.memory = AccessMemory(
            config.proxy.access_ttl_s, config.proxy.denied_ttl_s, config.proxy.stale_limit_s
        )
        self.upstream = Upstream(
            config.proxy,
            metrics=self.metrics,
            download=self.governor.download,
            timeout_s=config.seeder.origin_timeout_s,
            user_agent=f"eagle-node/{__version__}",
        )
        self.relay = Relay(
            self.upstream,
            order=self.registry_owners,
            desk_at=self.desk_at,
            private=self.identity is not None,
            tags=config.proxy.tag_ttl_s > 0,
            metrics=self.metrics,
        )
        self.rights = Rights(config.node.data_dir, config.proxy.stale_limit_s)
        self.access = Access(self.relay, self.memory, self.metrics, rights=self.rights)
        self.discretion = Discretion(self.upstream.own_credential, sealed=self.identity is not None)
        self.manifests = ManifestStore(config.node.data_dir / "manifests.sqlite")
        self.files = FileStore(config.node.data_dir / "files.sqlite")
        self.cache = Cache(config.cache, config.node.data_dir / "cache", self.metrics)
        self.transfers = Transfers(
            self.cache, self.swarm, self.metrics, most_torrents=config.swarm.most_torrents
        )
        self.file_looks = FileLooks(
            upstream=self.upstream,
            cache=self.cache,
            transfers=self.transfers,
            access=self.access,
            store=self.files,
            config=config.seeder,
        )
        self.node_id = node_id(config.node.data_dir)
        self.cluster: Cluster | None = None
        """Set while roles are elected."""
        self.images = Images()
        self.events = EventLog()
        self.listeners: dict[str, int] = dict.fromkeys(NodePorts.__dataclass_fields__, 0)
        self.own_seeders: set[Address] = set()
        self.own_trackers: set[str] = set()
        self.advertiser: Advertiser | None = None
        self.metainfo: MetaInfoClient | None = None
        self.preheater: Preheater | None = None
        self.seeder: SeederService | None = None
        self.lending: RuntimeStore | None = None
        """containerd's content store, if blobs are offered from there."""
        self.desk: RegistryDesk | None = None
        self.work: list[tuple[str, Coroutine[Any, Any, None]]] = []
        self._traffic = Traffic(sent_payload=0, received_payload=0, sent=0, received=0)

    @property
    def ports(self) -> NodePorts:
        """Where the node listens."""
        return NodePorts(**self.listeners)

    @property
    def info(self) -> NodeInfo:
        """The node as its trackers see it."""
        node, limits = self.config.node, self.config.limits
        return NodeInfo(
            node_id=self.node_id,
            host=self.host,
            port=self.swarm.port,
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
        return self.config.node.roles | elected

    def runs(self, role: Role) -> bool:
        """Whether the node holds ``role``, or may be given it."""
        return role in self.config.node.roles | self.config.cluster.elected

    def seeders(self) -> Sequence[Address]:
        """Metainfo services of the cluster; this node's own among them if it is a seeder."""
        found = {*self.config.seeder.pinned}
        if self.cluster is None:
            found |= self.own_seeders
        else:
            found |= self.cluster.directory.addresses[Role.SEEDER]
        return sorted(found, key=str)

    def trackers(self) -> Sequence[str]:
        """Base URLs of the cluster's trackers; this node's own among them if it is a tracker."""
        found = {*map(self.tracker_url, self.config.tracker.pinned)}
        if self.cluster is None:
            found |= self.own_trackers
        else:
            elected = self.cluster.directory.addresses[Role.TRACKER]
            found |= {self.tracker_url(f"http://{address}") for address in elected}
        return sorted(found)

    def tracker_url(self, url: str) -> str:
        """A tracker's base URL: nodes with a cluster key speak TLS to each other."""
        scheme = "http" if self.identity is None else "https"
        return str(URL(url).with_scheme(scheme)).rstrip("/")

    def announce_urls(self) -> Sequence[str]:
        """The trackers as torrents name them; with a cluster key, libtorrent cannot reach them."""
        if self.identity is not None:
            return []
        return [f"{url}/announce" for url in self.trackers()]

    def running(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """What runs for as long as the node does."""
        return iter(self.work)

    async def report_soon(self) -> None:
        """Have the trackers know what has just changed here."""
        if self.advertiser is not None:
            await self.advertiser.report_soon()

    async def prefetch(self, seeder: Address, request: PrefetchRequest) -> None:
        """Tell a seeder, which may be this node, what may be asked for soon."""
        shows = request.authorization or None
        if self.seeder is not None and seeder in self.own_seeders:
            self.seeder.note(request, await self.upstream.reader(request.registry, shows))
        elif self.metainfo is not None:
            reader = await self.discretion.reader(request.registry, shows)
            shown = self.discretion.shown(reader, seeder)
            await self.metainfo.prefetch(seeder, replace(request, authorization=shown))

    def registry_owners(self, repository: str) -> Sequence[Address]:
        """The seeders in the order in which they ask for a repository; a dead one last."""
        order = rendezvous(repository, self.seeders())
        return self.metainfo.live_first(order) if self.metainfo is not None else order

    def desk_at(self, seeder: Address) -> Asker | None:
        """Who asks registries at a seeder, which may be this node."""
        if seeder in self.own_seeders:
            return self.desk
        if self.metainfo is None:
            return None
        return RemoteDesk(client=self.metainfo, seeder=seeder, node_id=self.node_id)

    def looker_at(self, seeder: Address) -> Looker | None:
        """Who looks at files at a seeder, which may be this node."""
        if seeder in self.own_seeders:
            return self.file_looks
        if self.metainfo is None:
            return None
        return RemoteLooker(client=self.metainfo, seeder=seeder, node_id=self.node_id)

    def holds(self, digest: Digest) -> bool:
        """Whether a blob is here, or on its way."""
        return digest in self.cache or self.transfers.get(digest) is not None

    def held(self, digest: Digest) -> int:
        """Bytes of a blob that are here."""
        if digest in self.cache:
            return self.cache.size(digest)
        arrival = self.cache.arrivals().get(digest)
        if arrival is None:
            return 0
        return sum(arrival.layout.segments[index].length for index in arrival.have)

    def watch_traffic(self) -> None:
        """Look at the swarm's traffic as often as the limits need it."""
        self.swarm.watch_traffic(GOVERN_INTERVAL_S if self.governor.active else 1.0)

    def count_traffic(self, traffic: Traffic) -> None:
        """The swarm's totals have moved: into the metrics."""
        before, self._traffic = self._traffic, traffic
        received = traffic.received_payload - before.received_payload
        self.metrics.peer_download_bytes.inc(max(0, received))
        sent = traffic.sent_payload - before.sent_payload
        self.metrics.peer_upload_bytes.inc(max(0, sent))


def _torrent_identity(parts: Parts) -> TorrentIdentity | None:
    if parts.identity is None:
        return None
    files = parts.identity.torrent_identity()
    return TorrentIdentity(
        root=files.root,
        certificate=files.certificate,
        key=files.key,
        dh_params=files.dh_params,
    )


def _swarm_config(config: Config, host: str) -> SwarmConfig:
    """The swarm listens where others reach it, and only there, unless told otherwise."""
    swarm = config.swarm
    if not swarm.listen_host and is_local(host):
        swarm = replace(swarm, listen_host=host)
    return swarm
