"""Starts this node's downloads, and tells trackers what it holds."""

from __future__ import annotations

from functools import partial

from aiohttp import ClientSession, DummyCookieJar, TCPConnector

from eagle_node.metainfo.client import MetaInfoClient
from eagle_node.node.parts import Parts
from eagle_node.node.preheating import start_preheating
from eagle_node.peer.advertise import Advertiser
from eagle_node.peer.announce import AnnounceEndpoint
from eagle_node.peer.holders import Acquaintance
from eagle_node.peer.links import LinkGauge
from eagle_node.peer.means import Means
from eagle_node.peer.service import OriginSources, Peer
from eagle_node.runtime.clock import monotonic
from eagle_node.swarm.blocks import BlockClient
from eagle_node.swarm.window import ReceiveWindow
from eagle_node.tracker.client import TrackerClient
from eagle_node.trust.certificates import SERVER_NAME, NodeIdentity


async def start_peer(parts: Parts, origin: OriginSources) -> Peer:
    """What opens blobs; ``origin`` is where they come from when no other node has them."""
    enter = parts.stack.enter_async_context
    identity = parts.identity
    metainfo = parts.metainfo = await enter(
        MetaInfoClient(
            parts.place.seeders,
            credentials=identity.grpc_channel_credentials() if identity else None,
            server_name=SERVER_NAME if identity else None,
        )
    )
    parts.work.append(("prepare-metainfo", metainfo.prepare()))
    tracker = await enter(
        TrackerClient(parts.place.trackers, open_session=partial(_open_session, identity))
    )
    window = ReceiveWindow(parts.swarm.limit_window)
    parts.swarm.on_traffic.append(window.on_traffic)
    means = Means(
        node=lambda: parts.place.info,
        swarm=parts.swarm,
        metainfo=metainfo,
        tracker=tracker,
        trackers=parts.place.announce_urls,
        announces=await enter(AnnounceEndpoint(parts.swarm.host)),
        blocks=await enter(BlockClient(identity.ssl_context(server=False) if identity else None)),
        acquaintance=Acquaintance(),
        config=parts.config.swarm,
        metrics=parts.metrics,
        discretion=parts.registry.discretion,
        download=parts.governor.download,
        window=window,
        clock=monotonic,
        report=parts.report_soon,
    )
    interval = parts.config.tracker.interval_s
    advertiser = Advertiser(means.node, tracker, parts.transfers, interval)
    parts.advertiser = advertiser
    if parts.config.swarm.measure_links:
        _measure_links(parts, means, advertiser)
    if parts.place.cluster is not None:
        parts.place.cluster.on_change.append(lambda _: advertiser.roles_changed())
    parts.work.append(("seed-cache", parts.transfers.seeding.seed_cache()))
    parts.work.append(("advertiser", advertiser.run()))
    peer = Peer(
        cache=parts.cache,
        transfers=parts.transfers,
        access=parts.registry.access,
        means=means,
        origin=origin,
        seeders=parts.place.seeders,
        is_self=lambda address: address in parts.place.own_seeders,
        elected=parts.place.cluster is not None,
    )
    parts.preheater = await start_preheating(parts, peer, tracker, advertiser)
    return peer


def _measure_links(parts: Parts, means: Means, advertiser: Advertiser) -> None:
    links = LinkGauge(
        node=means.node,
        swarm=parts.swarm,
        blocks=means.blocks,
        directory=parts.config.node.data_dir / "gauge",
        is_idle=lambda: not parts.transfers.running(),
        download=parts.governor.download,
        metrics=parts.metrics,
    )
    parts.link_rate = lambda: links.rate
    advertiser.gauged = lambda: links.results
    advertiser.on_gauges.append(links.measure)
    parts.work.append(("links", links.run()))


def _open_session(identity: NodeIdentity | None) -> ClientSession:
    """A session to trackers."""
    context = identity.ssl_context(server=False) if identity else True
    return ClientSession(connector=TCPConnector(ssl=context), cookie_jar=DummyCookieJar())
