"""Builds the parts of a node in order, and wires what one tells the other."""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web
from yarl import URL

from eagle_node import __version__
from eagle_node.api.handlers import build_api
from eagle_node.base.errors import StartError, UsageError
from eagle_node.blobs.cache import Cache
from eagle_node.config.tree import Config, Role, SwarmConfig
from eagle_node.metainfo.client import MetaInfoClient
from eagle_node.metrics.instruments import Metrics
from eagle_node.node.identity import advertised_host, is_local, node_id, own_among
from eagle_node.node.status import NodeStatus
from eagle_node.peer.advertise import Advertiser
from eagle_node.peer.announce import AnnounceEndpoint
from eagle_node.peer.download import Means
from eagle_node.peer.service import Peer
from eagle_node.proxy.blobs import BlobHandler
from eagle_node.proxy.manifest_store import ManifestStore
from eagle_node.proxy.manifests import ManifestHandler
from eagle_node.proxy.passing import Passing
from eagle_node.proxy.rules import Rules
from eagle_node.proxy.server import Proxy
from eagle_node.registry.access import Access, AccessMemory
from eagle_node.registry.upstream import Upstream
from eagle_node.runtime.clock import monotonic
from eagle_node.runtime.sockets import Address, bound_address, listen_tcp, parse_address
from eagle_node.seeder.archive import Archive
from eagle_node.seeder.origins import Origins
from eagle_node.seeder.service import SeederService
from eagle_node.swarm.events import Traffic
from eagle_node.swarm.governor import GOVERN_INTERVAL_S, Governor
from eagle_node.swarm.session import Swarm
from eagle_node.swarm.transfers import Transfers
from eagle_node.tracker.client import TrackerClient
from eagle_node.tracker.handlers import TrackerService
from eagle_node.tracker.schema import NodeInfo

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePorts:
    """Where a node listens; 0: it does not."""

    proxy: int
    api: int
    swarm: int
    metainfo: int
    tracker: int


class Parts:
    """The parts of one node; `build` makes them, the exit stack that it was given ends them."""

    def __init__(self, config: Config, stack: AsyncExitStack) -> None:
        self.config = config
        self.stack = stack
        self.metrics = Metrics()
        self.host = advertised_host(config)
        self.swarm = Swarm(_swarm_config(config, self.host))
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
        self.access = Access(self.upstream, self.memory)
        self.cache = Cache(config.cache, config.node.data_dir / "cache", self.metrics)
        self.transfers = Transfers(
            self.cache, self.swarm, self.metrics, most_torrents=config.swarm.most_torrents
        )
        self.listeners: dict[str, int] = dict.fromkeys(NodePorts.__dataclass_fields__, 0)
        self.own_seeders: set[Address] = set()
        self.own_trackers: set[str] = set()
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
            node_id=node_id(node.data_dir),
            host=self.host,
            port=self.swarm.port,
            zone=node.zone,
            rack=node.rack,
            group=node.group,
            upload_rate=limits.upload,
            seeder=Role.SEEDER in node.roles,
        )

    def has(self, *roles: Role) -> bool:
        """Whether the node holds one of ``roles``."""
        return bool(self.config.node.roles & set(roles))

    def seeders(self) -> Sequence[Address]:
        """Metainfo services of the cluster, this node's own among them."""
        return sorted({*self.config.seeder.pinned, *self.own_seeders}, key=str)

    def trackers(self) -> Sequence[str]:
        """Base URLs of the cluster's trackers, this node's own among them."""
        return sorted({*self.config.tracker.pinned, *self.own_trackers})

    def announce_urls(self) -> Sequence[str]:
        """The trackers as torrents name them."""
        return [f"{url}/announce" for url in self.trackers()]

    def running(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """What runs for as long as the node does."""
        return iter(self.work)

    def count_traffic(self, traffic: Traffic) -> None:
        """The swarm's totals have moved: into the metrics."""
        before, self._traffic = self._traffic, traffic
        received = traffic.received_payload - before.received_payload
        self.metrics.peer_download_bytes.inc(max(0, received))
        sent = traffic.sent_payload - before.sent_payload
        self.metrics.peer_upload_bytes.inc(max(0, sent))


def _swarm_config(config: Config, host: str) -> SwarmConfig:
    """The swarm listens where others reach it, and only there, unless told otherwise."""
    swarm = config.swarm
    if not swarm.listen_host and is_local(host):
        swarm = replace(swarm, listen_host=host)
    return swarm


async def build(config: Config, stack: AsyncExitStack) -> Parts:
    """All parts, listening; raises `StartError` or `UsageError` naming what is wrong."""
    parts = Parts(config, stack)
    stack.push_async_callback(_close_unstarted, parts)
    await stack.enter_async_context(parts.upstream)
    await stack.enter_async_context(parts.cache)
    await stack.enter_async_context(parts.swarm)
    await stack.enter_async_context(parts.transfers)
    parts.listeners["swarm"] = parts.swarm.port
    parts.swarm.on_traffic += [parts.governor.on_traffic, parts.count_traffic]
    parts.swarm.watch_traffic(GOVERN_INTERVAL_S if parts.governor.active else 1.0)
    parts.governor.start()
    if parts.has(Role.TRACKER):
        await _start_tracker(parts)
    origins = await _build_origins(parts)
    if parts.has(Role.SEEDER):
        await _start_seeder(parts, origins)
    peer = await _start_peer(parts, origins)
    if parts.has(Role.PROXY):
        await _start_proxy(parts, peer)
    await _start_api(parts)
    return parts


async def _close_unstarted(parts: Parts) -> None:
    """Close coroutines that were never made tasks."""
    for _, work in parts.work:
        work.close()


async def _serve(parts: Parts, app: web.Application, address: Address, *, flag: str) -> int:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
    listener = listen_tcp(address, flag=flag)
    await runner.setup()
    parts.stack.push_async_callback(runner.cleanup)
    await web.SockSite(runner, listener).start()
    return bound_address(listener).port


async def _start_tracker(parts: Parts) -> None:
    config = parts.config.tracker
    database = parts.config.node.data_dir / "tracker.sqlite"
    service = await parts.stack.enter_async_context(TrackerService(config, parts.metrics, database))
    port = await _serve(parts, service.app(), config.listen, flag="--tracker-port")
    parts.listeners["tracker"] = port
    pinned = {url: parse_address(URL(url).authority) for url in config.pinned}
    own = own_among(list(pinned.values()), port)
    parts.own_trackers = {url for url, address in pinned.items() if address in own}
    if not parts.own_trackers:
        parts.own_trackers = {f"http://{Address(parts.host, port)}"}


async def _build_origins(parts: Parts) -> Origins:
    archive = None
    if parts.config.seeder.storage:
        from eagle_node.storage.open import open_storage

        storage = await parts.stack.enter_async_context(open_storage(parts.config.seeder.storage))
        archive = Archive(storage, parts.cache, parts.metrics)
        parts.stack.push_async_callback(archive.aclose)
        parts.cache.on_commit.append(archive.keep)
    origins = Origins(parts.upstream, parts.access, parts.config.seeder, archive)
    parts.stack.push_async_callback(origins.aclose)
    return origins


async def _start_seeder(parts: Parts, origins: Origins) -> None:
    import grpc

    from eagle_node.metainfo.service import add_metainfo_service

    registries = {URL(each.url).origin(): each.name for each in parts.config.proxy.registries}
    handler = SeederService(
        cache=parts.cache,
        transfers=parts.transfers,
        access=parts.access,
        origin=origins.source,
        registry_at=lambda url: registries.get(url, url.authority),
        announce_urls=parts.announce_urls,
        swarm_port=parts.swarm.port,
    )
    address = parts.config.seeder.metainfo_listen
    listen_tcp(address, flag="--metainfo-port").close()
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    add_metainfo_service(server, handler)
    try:
        port = server.add_insecure_port(str(address))
    except RuntimeError as error:
        raise StartError(f"cannot listen on {address} (--metainfo-port): {error}") from error
    await server.start()
    parts.stack.push_async_callback(server.stop, 1.0)
    parts.listeners["metainfo"] = port
    parts.own_seeders = own_among(parts.config.seeder.pinned, port)
    if not parts.own_seeders:
        parts.own_seeders = {Address(parts.host, port)}


async def _start_peer(parts: Parts, origins: Origins) -> Peer:
    if not parts.trackers() and not parts.seeders():
        raise UsageError("a node without seeder and tracker role needs --seeder and --tracker")
    enter = parts.stack.enter_async_context
    metainfo = await enter(MetaInfoClient(parts.seeders))
    tracker = await enter(TrackerClient(parts.trackers))
    means = Means(
        node=parts.info,
        swarm=parts.swarm,
        metainfo=metainfo,
        tracker=tracker,
        trackers=parts.announce_urls(),
        announces=await enter(AnnounceEndpoint(parts.swarm.host)),
        config=parts.config.swarm,
        metrics=parts.metrics,
        clock=monotonic,
    )
    interval = parts.config.tracker.interval_s
    advertiser = Advertiser(means.node, tracker, parts.transfers, interval)
    parts.work.append(("seed-cache", parts.transfers.seed_cache()))
    parts.work.append(("advertiser", advertiser.run()))
    return Peer(
        cache=parts.cache,
        transfers=parts.transfers,
        access=parts.access,
        means=means,
        origin=origins.source,
        seeders=parts.seeders,
        is_self=lambda address: address in parts.own_seeders,
    )


async def _start_proxy(parts: Parts, peer: Peer) -> None:
    config = parts.config.proxy
    path = parts.config.node.data_dir / "manifests.sqlite"
    store = await parts.stack.enter_async_context(ManifestStore(path))
    listener = listen_tcp(config.listen, flag="--proxy-listen")
    parts.listeners["proxy"] = bound_address(listener).port
    await parts.stack.enter_async_context(
        Proxy(
            config,
            listener,
            blobs=BlobHandler(peer, parts.access, parts.metrics),
            manifests=ManifestHandler(parts.upstream, store, parts.memory, parts.metrics),
            passing=Passing(parts.upstream, parts.metrics),
            rules=Rules(config),
            metrics=parts.metrics,
        )
    )


async def _start_api(parts: Parts) -> None:
    status = NodeStatus(
        config=parts.config,
        info=parts.info,
        metrics=parts.metrics,
        cache=parts.cache,
        swarm=parts.swarm,
    )
    app = build_api(status, parts.metrics)
    port = await _serve(parts, app, parts.config.api.listen, flag="--api-listen")
    parts.listeners["api"] = port
