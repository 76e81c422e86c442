"""Starts the roles of a node on its parts, and wires what one tells the other."""

from __future__ import annotations

import ssl
from contextlib import AsyncExitStack
from functools import partial

from aiohttp import ClientSession, DummyCookieJar, TCPConnector, web
from yarl import URL

from eagle_node import __version__
from eagle_node.api.handlers import build_api
from eagle_node.api.token import read_token
from eagle_node.base.errors import StartError, UsageError
from eagle_node.cluster.service import Cluster
from eagle_node.config.tree import ApiConfig, Config, Role
from eagle_node.lending.service import RuntimeStore
from eagle_node.metainfo.client import MetaInfoClient
from eagle_node.node.activity import Activity
from eagle_node.node.cluster_view import ClusterView
from eagle_node.node.control import NodeControl
from eagle_node.node.identity import own_among
from eagle_node.node.log_events import log_events
from eagle_node.node.parts import Parts
from eagle_node.node.preheating import start_preheating
from eagle_node.node.settings import NodeSettings
from eagle_node.node.status import NodeStatus
from eagle_node.peer.advertise import Advertiser
from eagle_node.peer.announce import AnnounceEndpoint
from eagle_node.peer.holders import Acquaintance
from eagle_node.peer.looks import Looks
from eagle_node.peer.means import Means
from eagle_node.peer.service import OriginSources, Peer
from eagle_node.proxy.ahead import FetchAhead
from eagle_node.proxy.blobs import BlobHandler
from eagle_node.proxy.looks import LookHandler
from eagle_node.proxy.manifests import ManifestHandler
from eagle_node.proxy.passing import Passing
from eagle_node.proxy.rules import Rules
from eagle_node.proxy.server import Proxy
from eagle_node.registry.manifests import Manifests
from eagle_node.registry.names import BlobRef
from eagle_node.runtime.budget import ByteBudget
from eagle_node.runtime.clock import monotonic
from eagle_node.runtime.sockets import (
    Address,
    bound_address,
    is_loopback,
    listen_tcp,
    parse_address,
)
from eagle_node.seeder.ahead import Prefetcher
from eagle_node.seeder.archive import Archive
from eagle_node.seeder.desk import DeskService, RegistryDesk
from eagle_node.seeder.looks import FileLookService
from eagle_node.seeder.origins import Origins
from eagle_node.seeder.service import SeederService
from eagle_node.swarm.blocks import BlockClient
from eagle_node.swarm.transfer import Source
from eagle_node.swarm.window import ReceiveWindow
from eagle_node.tracing.session import open_tracing
from eagle_node.tracker.client import TrackerClient
from eagle_node.tracker.handlers import TrackerService
from eagle_node.trust.certificates import SERVER_NAME, NodeIdentity
from eagle_node.trust.local_ca import FILE_NAME as LOCAL_CA
from eagle_node.trust.local_ca_file import LocalCaFile


async def build(config: Config, stack: AsyncExitStack) -> Parts:
    """All parts, listening; raises `StartError` or `UsageError` naming what is wrong."""
    parts = Parts(config, stack)
    stack.push_async_callback(_close_unstarted, parts)
    stack.enter_context(log_events(parts.events))
    if config.trace.endpoint:
        about = {
            "service.name": "eagle-node",
            "service.version": __version__,
            "service.instance.id": parts.node_id,
            "eagle.cluster": config.node.cluster,
            "eagle.zone": config.node.zone,
        }
        parts.tracer = await stack.enter_async_context(open_tracing(config.trace.endpoint, about))
    await stack.enter_async_context(parts.upstream)
    await stack.enter_async_context(parts.rights)
    if parts.runs(Role.PROXY) or parts.runs(Role.SEEDER):
        await stack.enter_async_context(parts.manifests)
        await stack.enter_async_context(parts.files)
    await stack.enter_async_context(parts.cache)
    await stack.enter_async_context(parts.swarm)
    await stack.enter_async_context(parts.transfers)
    parts.listeners["swarm"] = parts.swarm.port
    parts.swarm.on_traffic += [parts.governor.on_traffic, parts.count_traffic]
    parts.watch_traffic()
    parts.governor.start()
    await _start_lending(parts)
    if parts.runs(Role.TRACKER):
        await _start_tracker(parts)
    origins = await _build_origins(parts)
    if parts.runs(Role.SEEDER):
        await _start_seeder(parts, origins)
    if config.cluster.enabled:
        await _start_cluster(parts)
    peer = await _start_peer(parts, origins)
    if parts.runs(Role.PROXY):
        await _start_proxy(parts, peer)
    await _start_api(parts)
    await _start_webhooks(parts)
    return parts


async def _close_unstarted(parts: Parts) -> None:
    """Close coroutines that were never made tasks."""
    for _, work in parts.work:
        work.close()


async def _serve(
    parts: Parts,
    app: web.Application,
    address: Address,
    *,
    flag: str,
    tls: ssl.SSLContext | None = None,
) -> int:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
    listener = listen_tcp(address, flag=flag)
    await runner.setup()
    parts.stack.push_async_callback(runner.cleanup)
    await web.SockSite(runner, listener, ssl_context=tls).start()
    return bound_address(listener).port


async def _start_lending(parts: Parts) -> None:
    """Offer blobs out of containerd's content store, if that is wanted."""
    config = parts.config.lending
    if config.store is None:
        return
    listener = listen_tcp(Address(parts.swarm_host, config.port), flag="--containerd-port")
    parts.listeners["containerd"] = bound_address(listener).port
    store = RuntimeStore(
        config,
        parts.config.swarm,
        cache=parts.cache,
        transfers=parts.transfers,
        metrics=parts.metrics,
        index=parts.config.node.data_dir / "lending.sqlite",
        listener=listener,
        upload=parts.governor.upload,
        tls=parts.identity.ssl_context(server=True) if parts.identity else None,
        root_certificate=parts.swarm.root_certificate,
    )
    parts.lending = await parts.stack.enter_async_context(store)
    parts.work.append(("lending", parts.lending.run()))


async def _start_tracker(parts: Parts) -> None:
    config = parts.config.tracker
    database = parts.config.node.data_dir / "tracker.sqlite"
    service = await parts.stack.enter_async_context(TrackerService(config, parts.metrics, database))
    tls = parts.identity.ssl_context(server=True) if parts.identity else None
    port = await _serve(parts, service.app(), config.listen, flag="--tracker-port", tls=tls)
    parts.listeners["tracker"] = port
    pinned = {url: parse_address(URL(url).authority) for url in config.pinned}
    own = own_among(list(pinned.values()), port)
    own_urls = [url for url, address in pinned.items() if address in own]
    own_urls = own_urls or [f"http://{Address(parts.host, port)}"]
    parts.own_trackers = {parts.tracker_url(url) for url in own_urls}


async def _build_origins(parts: Parts) -> Origins:
    archive = None
    if parts.config.seeder.storage:
        from eagle_node.storage.open import open_storage

        storage = await parts.stack.enter_async_context(open_storage(parts.config.seeder.storage))
        far = not parts.config.seeder.storage.startswith(("file:", "memory:"))
        archive = Archive(
            storage,
            parts.cache,
            parts.metrics,
            upload=parts.governor.upload if far else ByteBudget(0),
            download=parts.governor.download if far else ByteBudget(0),
        )
        parts.stack.push_async_callback(archive.aclose)
        parts.cache.on_commit.append(archive.keep)
    origins = Origins(parts.upstream, parts.access, parts.config.seeder, archive)
    parts.stack.push_async_callback(origins.aclose)
    return origins


def _named(parts: Parts, origins: Origins) -> OriginSources:
    """The sources of ``origins``; the repositories that blobs are asked of are remembered."""

    def source(blob: BlobRef, authorization: str | None) -> Source:
        parts.images.asked(blob)
        return origins.source(blob, authorization)

    return source


async def _start_seeder(parts: Parts, origins: Origins) -> None:
    import grpc

    from eagle_node.metainfo.file_service import add_file_service
    from eagle_node.metainfo.registry_service import add_registry_service
    from eagle_node.metainfo.service import SERVER_OPTIONS, add_metainfo_service

    registries = {URL(each.url).origin(): each.name for each in parts.config.proxy.registries}
    prefetcher = Prefetcher(
        limit=parts.config.seeder.prefetch,
        cache=parts.cache,
        transfers=parts.transfers,
        access=parts.access,
        origin=origins.source,
        turns=origins.turns,
        metrics=parts.metrics,
    )
    parts.stack.push_async_callback(prefetcher.aclose)
    handler = parts.seeder = SeederService(
        cache=parts.cache,
        transfers=parts.transfers,
        access=parts.access,
        origin=_named(parts, origins),
        prefetcher=prefetcher,
        registry_at=lambda url: registries.get(url, url.authority),
        announce_urls=parts.announce_urls,
        report=parts.report_soon,
        upload=parts.governor.upload,
        swarm_port=parts.swarm.port,
        node_id=parts.node_id,
        metrics=parts.metrics,
    )
    address = parts.config.seeder.metainfo_listen
    listen_tcp(address, flag="--metainfo-port").close()
    server = grpc.aio.server(options=SERVER_OPTIONS)
    add_metainfo_service(server, handler, parts.tracer)
    parts.desk = RegistryDesk(parts.upstream, parts.manifests, parts.config.proxy, parts.rights)
    add_registry_service(server, DeskService(parts.desk), parts.tracer)
    add_file_service(server, FileLookService(parts.file_looks), parts.tracer)
    try:
        if parts.identity is None:
            port = server.add_insecure_port(str(address))
        else:
            port = server.add_secure_port(str(address), parts.identity.grpc_server_credentials())
    except RuntimeError as error:
        raise StartError(f"cannot listen on {address} (--metainfo-port): {error}") from error
    await server.start()
    parts.stack.push_async_callback(server.stop, 1.0)
    parts.listeners["metainfo"] = port
    parts.own_seeders = own_among(parts.config.seeder.pinned, port)
    if not parts.own_seeders:
        parts.own_seeders = {Address(parts.host, port)}


async def _start_cluster(parts: Parts) -> None:
    cluster = Cluster(
        parts.config,
        node_id=parts.node_id,
        host=parts.host,
        trust=parts.identity,
        keys=parts.key_file,
        metrics=parts.metrics,
        ports=parts.listeners,
    )
    parts.cluster = await parts.stack.enter_async_context(cluster)
    parts.listeners.update(cluster.ports)
    parts.work.append(("cluster", cluster.run()))


async def _start_peer(parts: Parts, origins: Origins) -> Peer:
    enter = parts.stack.enter_async_context
    identity = parts.identity
    metainfo = parts.metainfo = await enter(
        MetaInfoClient(
            parts.seeders,
            credentials=identity.grpc_channel_credentials() if identity else None,
            server_name=SERVER_NAME if identity else None,
        )
    )
    tracker = await enter(
        TrackerClient(parts.trackers, open_session=partial(_open_session, identity))
    )
    window = ReceiveWindow(parts.swarm.limit_window)
    parts.swarm.on_traffic.append(window.on_traffic)
    means = Means(
        node=lambda: parts.info,
        swarm=parts.swarm,
        metainfo=metainfo,
        tracker=tracker,
        trackers=parts.announce_urls,
        announces=await enter(AnnounceEndpoint(parts.swarm.host)),
        blocks=await enter(BlockClient(identity.ssl_context(server=False) if identity else None)),
        acquaintance=Acquaintance(),
        config=parts.config.swarm,
        metrics=parts.metrics,
        discretion=parts.discretion,
        download=parts.governor.download,
        window=window,
        clock=monotonic,
    )
    interval = parts.config.tracker.interval_s
    advertiser = Advertiser(means.node, tracker, parts.transfers, interval)
    parts.advertiser = advertiser
    if parts.cluster is not None:
        parts.cluster.on_change.append(lambda _: advertiser.roles_changed())
    parts.work.append(("seed-cache", parts.transfers.seeding.seed_cache()))
    parts.work.append(("advertiser", advertiser.run()))
    peer = Peer(
        cache=parts.cache,
        transfers=parts.transfers,
        access=parts.access,
        means=means,
        origin=_named(parts, origins),
        seeders=parts.seeders,
        is_self=lambda address: address in parts.own_seeders,
    )
    parts.preheater = await start_preheating(parts, peer, tracker, advertiser)
    return peer


def _open_session(identity: NodeIdentity | None) -> ClientSession:
    """A session to trackers."""
    context = identity.ssl_context(server=False) if identity else True
    return ClientSession(connector=TCPConnector(ssl=context), cookie_jar=DummyCookieJar())


async def _start_proxy(parts: Parts, peer: Peer) -> None:
    config = parts.config.proxy
    ahead = FetchAhead(
        order=peer.order,
        tell=parts.prefetch,
        holds=parts.holds,
        memory=parts.memory,
        node_id=parts.node_id,
    )
    parts.stack.push_async_callback(ahead.aclose)
    looks = Looks(
        parts.file_looks,
        parts.upstream,
        order=parts.registry_owners,
        looker_at=parts.looker_at,
        private=parts.identity is not None,
    )
    listener = listen_tcp(config.listen, flag="--proxy-listen")
    parts.listeners["proxy"] = bound_address(listener).port
    await parts.stack.enter_async_context(
        Proxy(
            config,
            listener,
            blobs=BlobHandler(peer, parts.access, parts.metrics),
            manifests=ManifestHandler(
                Manifests(parts.relay, parts.manifests, parts.memory, rights=parts.rights),
                parts.metrics,
                given=ahead.given if parts.config.seeder.prefetch else None,
                named=parts.images.given,
            ),
            passing=Passing(parts.upstream, parts.metrics),
            rules=Rules(config),
            look=LookHandler(looks, parts.files),
            metrics=parts.metrics,
            ca=LocalCaFile(parts.config.node.data_dir / LOCAL_CA),
            tracer=parts.tracer,
        )
    )


async def _start_api(parts: Parts) -> None:
    assert parts.preheater is not None, "the peer comes first"
    view = None
    if parts.cluster is not None:
        view = ClusterView(parts.config, parts.cluster, parts.events)
    status = NodeStatus(
        config=parts.config,
        info=parts.info,
        metrics=parts.metrics,
        cache=parts.cache,
        swarm=parts.swarm,
        cluster=parts.cluster,
        view=view,
        upstream=parts.upstream,
        lending=parts.lending,
    )
    activity = Activity(
        transfers=parts.transfers,
        swarm=parts.swarm,
        images=parts.images,
        metrics=parts.metrics,
        events=parts.events,
        node_at=view.node_at if view is not None else lambda _: "",
    )
    parts.work.append(("activity", activity.run()))
    control = NodeControl(
        status=status,
        activity=activity,
        cache=parts.cache,
        lending=parts.lending,
        images=parts.images,
        settings=NodeSettings(
            cache=parts.cache,
            governor=parts.governor,
            limited=parts.watch_traffic,
            cluster=view,
        ),
        preheater=parts.preheater,
        events=parts.events,
    )
    app = build_api(control, parts.metrics, events=parts.events, token=_api_token(parts.config.api))
    port = await _serve(parts, app, parts.config.api.listen, flag="--api-listen")
    parts.listeners["api"] = port


async def _start_webhooks(parts: Parts) -> None:
    config = parts.config.webhook
    if config.listen is None:
        return
    from eagle_node.preheat.selection import parse_selection
    from eagle_node.preheat.webhooks import Webhooks

    assert parts.preheater is not None, "the peer comes first"
    if config.token_file is None and not is_loopback(config.listen.host):
        raise UsageError(
            f"whoever reaches {config.listen} could have images fetched; give it a secret with "
            "--webhook-token-file, or listen on loopback (--webhook-listen)"
        )
    webhooks = Webhooks(
        parts.preheater,
        parts.config.proxy.registries,
        token=read_token(config.token_file) if config.token_file is not None else None,
        nodes=parse_selection(config.nodes).text,
    )
    port = await _serve(parts, webhooks.app(), config.listen, flag="--webhook-listen")
    parts.listeners["webhook"] = port


def _api_token(config: ApiConfig) -> str | None:
    """What users of the API must show; `UsageError` when everybody could use it."""
    if config.token_file is not None:
        return read_token(config.token_file)
    if not is_loopback(config.listen.host):
        raise UsageError(
            f"the control API would be open to whoever reaches {config.listen}; give it a secret "
            "with --api-token-file, or listen on loopback (--api-listen)"
        )
    return None
