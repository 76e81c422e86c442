"""The parts of a node that all others build on."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

from eagle_node.api.event_log import EventLog
from eagle_node.base.digest import Digest
from eagle_node.base.rendezvous import rendezvous
from eagle_node.blobs.cache import Cache
from eagle_node.config.tree import Config, SwarmConfig
from eagle_node.lending.service import RuntimeStore
from eagle_node.metainfo.client import MetaInfoClient
from eagle_node.metainfo.messages import PrefetchRequest
from eagle_node.metrics.instruments import Metrics
from eagle_node.node.identity import is_local
from eagle_node.node.images import Images
from eagle_node.node.place import Place
from eagle_node.node.registries import registries
from eagle_node.peer.advertise import Advertiser
from eagle_node.peer.looks import Looker, RemoteLooker
from eagle_node.peer.relay import Asker, RemoteDesk
from eagle_node.preheat.jobs import Preheater
from eagle_node.runtime.sockets import Address
from eagle_node.runtime.tracing import Tracer
from eagle_node.seeder.desk import RegistryDesk
from eagle_node.seeder.looks import FileLooks
from eagle_node.seeder.service import SeederService
from eagle_node.swarm.events import Traffic
from eagle_node.swarm.governor import GOVERN_INTERVAL_S, Governor
from eagle_node.swarm.session import Swarm, TorrentIdentity
from eagle_node.swarm.transfers import Transfers
from eagle_node.trust.certificates import NodeIdentity, node_identity
from eagle_node.trust.keyfile import KeyFile


class Parts:
    """The parts of one node; `build` makes them, the exit stack that it was given ends them."""

    def __init__(self, config: Config, stack: AsyncExitStack) -> None:
        self.config = config
        self.stack = stack
        self.metrics = Metrics()
        self.tracer: Tracer | None = None
        """Records what requests cost; None: nobody wants to know."""
        path = config.node.cluster_key_file
        self.key_file = KeyFile(path) if path is not None else None
        self.identity = node_identity(self.key_file.keys) if self.key_file is not None else None
        sealed = self.identity is not None
        self.place = Place(config, sealed=sealed)
        swarm = _swarm_config(config, self.place.host)
        self.swarm = Swarm(swarm, identity=_torrent_identity(self.identity))
        self.swarm_host = swarm.listen_host or ("::" if ":" in self.place.host else "0.0.0.0")
        """Where other nodes' connections for blobs are accepted."""
        self.governor = Governor(
            config.limits, lambda up, down: self.swarm.limit(upload=up, download=down)
        )
        self.registry = registries(
            config,
            self.metrics,
            download=self.governor.download,
            order=self.registry_owners,
            desk_at=self.desk_at,
            sealed=sealed,
        )
        self.cache = Cache(config.cache, config.node.data_dir / "cache", self.metrics)
        self.transfers = Transfers(
            self.cache, self.swarm, self.metrics, most_torrents=config.swarm.most_torrents
        )
        self.file_looks = FileLooks(
            upstream=self.registry.upstream,
            cache=self.cache,
            transfers=self.transfers,
            access=self.registry.access,
            store=self.registry.files,
            config=config.seeder,
        )
        self.images = Images()
        self.events = EventLog()
        self.advertiser: Advertiser | None = None
        self.metainfo: MetaInfoClient | None = None
        self.preheater: Preheater | None = None
        self.seeder: SeederService | None = None
        self.lending: RuntimeStore | None = None
        """containerd's content store, if blobs are offered from there."""
        self.desk: RegistryDesk | None = None
        self.link_rate: Callable[[], int] = lambda: 0
        """What this node's link carries, bytes/s; 0: unknown, or too fast to be told."""
        self.work: list[tuple[str, Coroutine[Any, Any, None]]] = []
        self._traffic = Traffic(sent_payload=0, received_payload=0, sent=0, received=0)

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
        if self.seeder is not None and seeder in self.place.own_seeders:
            self.seeder.note(request, await self.registry.upstream.reader(request.registry, shows))
        elif self.metainfo is not None:
            reader = await self.registry.discretion.reader(request.registry, shows)
            shown = self.registry.discretion.shown(reader, seeder)
            await self.metainfo.prefetch(seeder, replace(request, authorization=shown))

    def registry_owners(self, repository: str) -> Sequence[Address]:
        """The seeders in the order in which they ask for a repository; a dead one last."""
        order = rendezvous(repository, self.place.seeders())
        return self.metainfo.live_first(order) if self.metainfo is not None else order

    def desk_at(self, seeder: Address) -> Asker | None:
        """Who asks registries at a seeder, which may be this node."""
        if seeder in self.place.own_seeders:
            return self.desk
        if self.metainfo is None:
            return None
        return RemoteDesk(client=self.metainfo, seeder=seeder, node_id=self.place.node_id)

    def looker_at(self, seeder: Address) -> Looker | None:
        """Who looks at files at a seeder, which may be this node."""
        if seeder in self.place.own_seeders:
            return self.file_looks
        if self.metainfo is None:
            return None
        return RemoteLooker(client=self.metainfo, seeder=seeder, node_id=self.place.node_id)

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


def _torrent_identity(identity: NodeIdentity | None) -> TorrentIdentity | None:
    if identity is None:
        return None
    files = identity.torrent_identity()
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
