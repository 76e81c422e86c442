"""How this node asks registries, and what it remembers of their answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eagle_node import __version__
from eagle_node.config.tree import Config
from eagle_node.metrics.instruments import Metrics
from eagle_node.peer.discretion import Discretion
from eagle_node.peer.relay import Asker, Relay
from eagle_node.registry.access import Access, AccessMemory
from eagle_node.registry.file_store import FileStore
from eagle_node.registry.manifest_store import ManifestStore
from eagle_node.registry.rights import Rights
from eagle_node.registry.upstream import Upstream
from eagle_node.runtime.budget import ByteBudget
from eagle_node.runtime.sockets import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Registries:
    """What asks, and what remembers."""

    upstream: Upstream
    relay: Relay
    memory: AccessMemory
    rights: Rights
    access: Access
    discretion: Discretion
    manifests: ManifestStore
    files: FileStore


def registries(
    config: Config,
    metrics: Metrics,
    *,
    download: ByteBudget,
    order: Callable[[str], Sequence[Address]],
    desk_at: Callable[[Address], Asker | None],
    sealed: bool,
) -> Registries:
    """``order`` and ``desk_at`` say which seeders ask in this node's stead, and how to reach them.

    ``sealed``: what nodes tell each other is read by nobody else.
    """
    directory, proxy = config.node.data_dir, config.proxy
    upstream = Upstream(
        proxy,
        metrics=metrics,
        download=download,
        timeout_s=config.seeder.origin_timeout_s,
        user_agent=f"eagle-node/{__version__}",
    )
    relay = Relay(
        upstream,
        order=order,
        desk_at=desk_at,
        private=sealed,
        tags=proxy.tag_ttl_s > 0,
        metrics=metrics,
    )
    memory = AccessMemory(proxy.access_ttl_s, proxy.denied_ttl_s, proxy.stale_limit_s)
    rights = Rights(directory, proxy.stale_limit_s)
    return Registries(
        upstream=upstream,
        relay=relay,
        memory=memory,
        rights=rights,
        access=Access(relay, memory, metrics, rights=rights),
        discretion=Discretion(upstream.own_credential, sealed=sealed),
        manifests=ManifestStore(directory / "manifests.sqlite"),
        files=FileStore(directory / "files.sqlite"),
    )
