"""Starts this node's seeder: where blobs come from, and what other nodes are told of them."""

from __future__ import annotations

from yarl import URL

from eagle_node.base.errors import StartError
from eagle_node.node.identity import own_among
from eagle_node.node.parts import Parts
from eagle_node.peer.service import OriginSources
from eagle_node.registry.names import BlobRef
from eagle_node.runtime.budget import ByteBudget
from eagle_node.runtime.sockets import Address, listen_tcp
from eagle_node.seeder.ahead import Prefetcher
from eagle_node.seeder.archive import Archive
from eagle_node.seeder.desk import DeskService, RegistryDesk
from eagle_node.seeder.looks import FileLookService
from eagle_node.seeder.origins import Origins
from eagle_node.seeder.service import SeederService
from eagle_node.swarm.transfer import Source


async def build_origins(parts: Parts) -> Origins:
    """The blob store, if there is one, and the registries."""
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
    origins = Origins(parts.registry.upstream, parts.registry.access, parts.config.seeder, archive)
    origins.turns.link_rate = lambda: parts.link_rate()
    parts.stack.push_async_callback(origins.aclose)
    return origins


def remembered(parts: Parts, origins: Origins) -> OriginSources:
    """The sources of ``origins``; the repositories that blobs are asked of are kept in mind."""

    def source(blob: BlobRef, authorization: str | None) -> Source:
        parts.images.asked(blob)
        return origins.source(blob, authorization)

    return source


async def start_seeder(parts: Parts, origins: Origins) -> None:
    """Answer other nodes' questions about blobs, registries and files."""
    parts.seeder = _service(parts, origins)
    await _listen(parts, parts.seeder)


def _service(parts: Parts, origins: Origins) -> SeederService:
    registries = {URL(each.url).origin(): each.name for each in parts.config.proxy.registries}
    prefetcher = Prefetcher(
        limit=parts.config.seeder.prefetch,
        cache=parts.cache,
        transfers=parts.transfers,
        access=parts.registry.access,
        origin=origins.source,
        turns=origins.turns,
        metrics=parts.metrics,
    )
    parts.stack.push_async_callback(prefetcher.aclose)
    return SeederService(
        cache=parts.cache,
        transfers=parts.transfers,
        access=parts.registry.access,
        origin=remembered(parts, origins),
        prefetcher=prefetcher,
        turns=origins.turns,
        registry_at=lambda url: registries.get(url, url.authority),
        announce_urls=parts.place.announce_urls,
        report=parts.report_soon,
        upload=parts.governor.upload,
        swarm_port=parts.swarm.port,
        node_id=parts.place.node_id,
        metrics=parts.metrics,
    )


async def _listen(parts: Parts, service: SeederService) -> None:
    import grpc

    from eagle_node.metainfo.file_service import add_file_service
    from eagle_node.metainfo.registry_service import add_registry_service
    from eagle_node.metainfo.service import SERVER_OPTIONS, add_metainfo_service

    address = parts.config.seeder.metainfo_listen
    listen_tcp(address, flag="--metainfo-port").close()
    server = grpc.aio.server(options=SERVER_OPTIONS)
    add_metainfo_service(server, service, parts.tracer)
    parts.desk = RegistryDesk(
        parts.registry.upstream, parts.registry.manifests, parts.config.proxy, parts.registry.rights
    )
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
    parts.place.listeners["metainfo"] = port
    parts.place.own_seeders = own_among(parts.config.seeder.pinned, port)
    if not parts.place.own_seeders:
        parts.place.own_seeders = {Address(parts.place.host, port)}
