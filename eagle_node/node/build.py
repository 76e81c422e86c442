"""Starts the parts of a node in their order, and wires what one tells the other."""

from __future__ import annotations

from contextlib import AsyncExitStack

from eagle_node import __version__
from eagle_node.cluster.service import Cluster
from eagle_node.config.tree import Config, Role
from eagle_node.lending.service import RuntimeStore
from eagle_node.node.downloading import start_peer
from eagle_node.node.log_events import log_events
from eagle_node.node.parts import Parts
from eagle_node.node.proxying import start_proxy
from eagle_node.node.seeding import build_origins, remembered, start_seeder
from eagle_node.node.steering import start_api, start_webhooks
from eagle_node.node.tracking import start_tracker
from eagle_node.runtime.sockets import Address, bound_address, listen_tcp
from eagle_node.tracing.session import open_tracing


async def build(config: Config, stack: AsyncExitStack) -> Parts:
    """All parts, listening; raises `StartError` or `UsageError` naming what is wrong."""
    parts = Parts(config, stack)
    stack.push_async_callback(_close_unstarted, parts)
    stack.enter_context(log_events(parts.events))
    await _start_tracing(parts)
    await stack.enter_async_context(parts.registry.upstream)
    await stack.enter_async_context(parts.registry.rights)
    if parts.place.runs(Role.PROXY) or parts.place.runs(Role.SEEDER):
        await stack.enter_async_context(parts.registry.manifests)
        await stack.enter_async_context(parts.registry.files)
    await stack.enter_async_context(parts.cache)
    await stack.enter_async_context(parts.swarm)
    await stack.enter_async_context(parts.transfers)
    parts.place.listeners["swarm"] = parts.swarm.port
    parts.swarm.on_traffic += [parts.governor.on_traffic, parts.count_traffic]
    parts.watch_traffic()
    parts.governor.start()
    await _start_lending(parts)
    if parts.place.runs(Role.TRACKER):
        await start_tracker(parts)
    origins = await build_origins(parts)
    if parts.place.runs(Role.SEEDER):
        await start_seeder(parts, origins)
    if config.cluster.enabled:
        await _start_cluster(parts)
    peer = await start_peer(parts, remembered(parts, origins))
    if parts.place.runs(Role.PROXY):
        await start_proxy(parts, peer)
    await start_api(parts)
    await start_webhooks(parts)
    return parts


async def _close_unstarted(parts: Parts) -> None:
    """Close coroutines that were never made tasks."""
    for _, work in parts.work:
        work.close()


async def _start_tracing(parts: Parts) -> None:
    config = parts.config
    if config.trace.endpoint:
        about = {
            "service.name": "eagle-node",
            "service.version": __version__,
            "service.instance.id": parts.place.node_id,
            "eagle.cluster": config.node.cluster,
            "eagle.zone": config.node.zone,
        }
        tracing = open_tracing(config.trace.endpoint, about)
        parts.tracer = await parts.stack.enter_async_context(tracing)


async def _start_lending(parts: Parts) -> None:
    """Offer blobs out of containerd's content store, if that is wanted."""
    config = parts.config.lending
    if config.store is None:
        return
    listener = listen_tcp(Address(parts.swarm_host, config.port), flag="--containerd-port")
    parts.place.listeners["containerd"] = bound_address(listener).port
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


async def _start_cluster(parts: Parts) -> None:
    cluster = Cluster(
        parts.config,
        node_id=parts.place.node_id,
        host=parts.place.host,
        trust=parts.identity,
        keys=parts.key_file,
        metrics=parts.metrics,
        ports=parts.place.listeners,
    )
    parts.place.cluster = await parts.stack.enter_async_context(cluster)
    parts.place.listeners.update(cluster.ports)
    parts.work.append(("cluster", cluster.run()))
