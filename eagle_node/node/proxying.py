"""Starts the client's side of this node."""

from __future__ import annotations

from eagle_node.node.parts import Parts
from eagle_node.peer.looks import Looks
from eagle_node.peer.service import Peer
from eagle_node.proxy.ahead import FetchAhead
from eagle_node.proxy.blobs import BlobHandler
from eagle_node.proxy.looks import LookHandler
from eagle_node.proxy.manifests import ManifestHandler
from eagle_node.proxy.passing import Passing
from eagle_node.proxy.rules import Rules
from eagle_node.proxy.server import Proxy
from eagle_node.registry.manifests import Manifests
from eagle_node.runtime.sockets import bound_address, listen_tcp
from eagle_node.trust.local_ca import FILE_NAME as LOCAL_CA
from eagle_node.trust.local_ca_file import LocalCaFile


async def start_proxy(parts: Parts, peer: Peer) -> None:
    """Listen for container runtimes."""
    config, registry = parts.config.proxy, parts.registry
    ahead = FetchAhead(
        order=peer.order,
        tell=parts.prefetch,
        holds=parts.holds,
        memory=registry.memory,
        node_id=parts.place.node_id,
    )
    parts.stack.push_async_callback(ahead.aclose)
    looks = Looks(
        parts.file_looks,
        registry.upstream,
        order=parts.registry_owners,
        looker_at=parts.looker_at,
        private=parts.identity is not None,
    )
    listener = listen_tcp(config.listen, flag="--proxy-listen")
    parts.place.listeners["proxy"] = bound_address(listener).port
    await parts.stack.enter_async_context(
        Proxy(
            config,
            listener,
            blobs=BlobHandler(peer, registry.access, parts.metrics),
            manifests=ManifestHandler(
                Manifests(
                    registry.relay,
                    registry.manifests,
                    registry.memory,
                    rights=registry.rights,
                ),
                parts.metrics,
                given=ahead.given if parts.config.seeder.prefetch else None,
                named=parts.images.given,
            ),
            passing=Passing(registry.upstream, parts.metrics),
            rules=Rules(config),
            look=LookHandler(looks, registry.files),
            metrics=parts.metrics,
            ca=LocalCaFile(parts.config.node.data_dir / LOCAL_CA),
            tracer=parts.tracer,
        )
    )
