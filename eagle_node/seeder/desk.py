"""Asks registries for the whole cluster, once per reader and question."""

from __future__ import annotations

from dataclasses import dataclass

from eagle_node.base.digest import Digest
from eagle_node.base.errors import Denied, Unavailable
from eagle_node.config.tree import ProxyConfig
from eagle_node.metainfo.registry_messages import (
    CheckReply,
    CheckRequest,
    ManifestReply,
    ManifestRequest,
)
from eagle_node.registry.access import Access, AccessMemory
from eagle_node.registry.authorizer import ANYBODY
from eagle_node.registry.manifest_question import ManifestAnswer, ManifestQuestion
from eagle_node.registry.manifest_store import ManifestStore
from eagle_node.registry.manifests import Manifests
from eagle_node.registry.names import (
    BlobRef,
    Repository,
    parse_reference,
    parse_registry,
    parse_repository_name,
)
from eagle_node.registry.rights import Rights
from eagle_node.registry.upstream import BlobInfo, Upstream
from eagle_node.runtime.clock import Clock, monotonic
from eagle_node.runtime.context import request_id
from eagle_node.runtime.tracing import note


class RegistryDesk:
    """What registries say to readers on any node.

    A reader is the credentials that it shows, as everywhere; one who shows none is anybody, and
    never this node with its own credentials: these are for this node's clients. For the same reason
    the memory of who may read what is not this node's own.
    """

    def __init__(
        self,
        upstream: Upstream,
        store: ManifestStore,
        config: ProxyConfig,
        rights: Rights | None = None,
        clock: Clock = monotonic,
    ) -> None:
        memory = AccessMemory(config.access_ttl_s, config.denied_ttl_s, config.stale_limit_s, clock)
        asker = _Strangers(upstream)
        self._access = Access(asker, memory, rights=rights)
        self._manifests = Manifests(
            asker, store, memory, rights=rights, tag_ttl_s=config.tag_ttl_s, clock=clock
        )

    async def check_blob(self, blob: BlobRef, authorization: str | None) -> BlobInfo:
        """Return if the reader may have ``blob``; raises as `Upstream.check_blob` does."""
        grant = await self._access.check(blob, authorization)
        return BlobInfo(
            size=grant.size, age_s=grant.age_s, stale=grant.stale, limited=grant.limited
        )

    async def manifest(self, asked: ManifestQuestion) -> ManifestAnswer:
        """The manifest for a reader who may have it; raises as `Manifests.get` does."""
        return await self._manifests.get(asked)


class DeskService:
    """A desk as the handler behind the Registry service."""

    def __init__(self, desk: RegistryDesk) -> None:
        self._desk = desk

    async def manifest(self, request: ManifestRequest) -> ManifestReply:
        """The manifest, or what is told of it."""
        request_id.set(request.request_id)
        note({"eagle.request_id": request.request_id, "eagle.node": request.node_id})
        answer = await self._desk.manifest(
            ManifestQuestion(
                repository=_repository(request),
                reference=parse_reference(request.reference),
                method="HEAD" if request.head else "GET",
                accept=request.accept,
                authorization=request.authorization or None,
                fresh=request.fresh,
            )
        )
        return ManifestReply(
            digest=answer.digest,
            media_type=answer.media_type,
            size=answer.size,
            body=b"" if request.head else answer.body,
            age_ms=int(answer.age_s * 1000),
            stale=answer.stale,
            limited=answer.limited,
        )

    async def check(self, request: CheckRequest) -> CheckReply:
        """Whether the reader may have the blob."""
        request_id.set(request.request_id)
        note({"eagle.request_id": request.request_id, "eagle.node": request.node_id})
        blob = BlobRef(_repository(request), Digest(request.digest))
        info = await self._desk.check_blob(blob, request.authorization or None)
        return CheckReply(
            size=info.size,
            age_ms=int(info.age_s * 1000),
            stale=info.stale,
            limited=info.limited,
        )


@dataclass(frozen=True, slots=True)
class _Strangers:
    """Asks a registry for readers of whom this node knows nothing but what they show."""

    upstream: Upstream

    async def check_blob(self, blob: BlobRef, authorization: str | None) -> BlobInfo:
        self._serve(blob.repository)
        return await self.upstream.check_blob(blob, authorization)

    async def manifest(self, asked: ManifestQuestion) -> ManifestAnswer:
        self._serve(asked.repository)
        return await self.upstream.manifest(asked)

    async def reader(self, _: str, authorization: str | None) -> str | None:
        return authorization or ANYBODY

    def written(self, repository: Repository) -> None:
        self.upstream.written(repository)

    def _serve(self, repository: Repository) -> None:
        """Raise `Unavailable` for a registry that only this node may not ask."""
        try:
            self.upstream.base_url(repository.registry)
        except Denied as error:
            raise Unavailable(str(error)) from error


def _repository(request: ManifestRequest | CheckRequest) -> Repository:
    return Repository(parse_registry(request.registry), parse_repository_name(request.repository))
