"""Has the seeder that owns a repository ask its registry, in the place of every node."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from eagle_node.base.bounded import BoundedDict
from eagle_node.base.errors import Denied, EagleError, Silent, Unavailable
from eagle_node.base.ids import NodeId
from eagle_node.metainfo.client import MetaInfoClient
from eagle_node.metainfo.registry_messages import CheckRequest, ManifestRequest
from eagle_node.metrics.instruments import Metrics
from eagle_node.registry.authorizer import ANYBODY
from eagle_node.registry.docker_config import Credential
from eagle_node.registry.manifest_question import ManifestAnswer, ManifestQuestion
from eagle_node.registry.names import BlobRef, Repository
from eagle_node.registry.upstream import BlobInfo
from eagle_node.runtime.clock import Clock, monotonic
from eagle_node.runtime.context import request_id
from eagle_node.runtime.sockets import Address
from eagle_node.runtime.tracing import peer_attributes, span

log = logging.getLogger(__name__)

T = TypeVar("T", BlobInfo, ManifestAnswer)

MOST_ASKED = 2
"""Seeders that are asked before the registry itself: the owner, and a stand-in when it is gone."""
WRITTEN_S = 30.0
"""How long this node asks for itself after a push through it; desks remember a tag, and that
something is not there, for less (``--tag-ttl``, ``--denied-ttl``)."""
_MOST_WRITTEN = 1024


class Asker(Protocol):
    """Who can tell what a registry says: the registry's client, a desk, or a desk elsewhere."""

    async def check_blob(self, blob: BlobRef, authorization: str | None) -> BlobInfo:
        """Return if the reader may have ``blob``; raise `Denied` or `Unavailable`."""
        ...

    async def manifest(self, asked: ManifestQuestion) -> ManifestAnswer:
        """The manifest for a reader who may have it; raise `Denied` or `Unavailable`."""
        ...


class Origin(Asker, Protocol):
    """The part of `Upstream` that `Relay` needs."""

    async def reader(self, registry: str, authorization: str | None) -> str | None:
        """Whose rights count for one who shows ``authorization``."""
        ...

    async def own_credential(self, registry: str) -> Credential | None:
        """What this node proves itself with at ``registry`` for clients that show nothing."""
        ...

    def doubt(self, registry: str) -> None:
        """Another node says that ``registry`` is silent."""
        ...

    def vouch(self, registry: str, age_s: float) -> None:
        """Another node has had an answer of ``registry`` ``age_s`` ago."""
        ...


class Relay:
    """Answers like `Upstream`, from the desk of the repository's owner where that is possible.

    What a desk refuses is the registry's word. When no desk answers, or none but with an old word,
    this node asks the registry itself, with little patience if desks could not; if it cannot
    either, the old word counts. Credentials go to
    other nodes only where ``private`` says that nobody reads them on the way. The node's own are
    shown to a desk like a client's, if they are a name and a password; an identity token stays.
    """

    def __init__(
        self,
        upstream: Origin,
        *,
        order: Callable[[str], Sequence[Address]],
        desk_at: Callable[[Address], Asker | None],
        private: bool,
        tags: bool,
        metrics: Metrics,
        clock: Clock = monotonic,
    ) -> None:
        self._upstream = upstream
        self._order = order
        self._desk_at = desk_at
        self._private = private
        self._tags = tags
        self._metrics = metrics
        self._clock = clock
        self._failing: set[Address] = set()
        self._written: BoundedDict[Repository, float] = BoundedDict(_MOST_WRITTEN)

    async def reader(self, registry: str, authorization: str | None) -> str | None:
        """Whose rights count for one who shows ``authorization``: see `Upstream.reader`."""
        return await self._upstream.reader(registry, authorization)

    def written(self, repository: Repository) -> None:
        """A client of this node has changed something in ``repository``.

        Desks may remember what was there before, so the registry itself is asked for a while.
        """
        self._written[repository] = self._clock() + WRITTEN_S

    async def check_blob(self, blob: BlobRef, authorization: str | None) -> BlobInfo:
        """Return if the reader may have ``blob``; `Denied` or `Unavailable`."""

        async def ask(asker: Asker, shown: str | None) -> BlobInfo:
            return await asker.check_blob(blob, shown)

        if blob.served_at or self._is_written(blob.repository):
            return await ask(self._upstream, authorization)
        return await self._ask(blob.repository, authorization, ask)

    async def manifest(self, asked: ManifestQuestion) -> ManifestAnswer:
        """The manifest for a reader who may have it; `Denied` or `Unavailable`."""

        async def ask(asker: Asker, shown: str | None) -> ManifestAnswer:
            return await asker.manifest(replace(asked, authorization=shown))

        if not (self._tags or asked.is_digest) or self._is_written(asked.repository):
            return await ask(self._upstream, asked.authorization)
        return await self._ask(asked.repository, asked.authorization, ask)

    async def _ask(
        self,
        repository: Repository,
        authorization: str | None,
        ask: Callable[[Asker, str | None], Awaitable[T]],
    ) -> T:
        shown = await self._shown(repository.registry, authorization)
        old: T | None = None
        for seeder in self._order(str(repository))[:MOST_ASKED] if shown is not None else ():
            desk = self._desk_at(seeder)
            if desk is None:
                continue
            try:
                answer = await ask(desk, shown or None)
            except Denied:
                self._note(seeder, "refused")
                raise
            except Silent:
                self._note(seeder, "silent")
                self._upstream.doubt(repository.registry)
                continue
            except EagleError as error:
                self._note(seeder, "failed", error)
                continue
            self._note(seeder, "stale" if answer.stale else "answered")
            if not answer.stale:
                self._upstream.vouch(repository.registry, answer.age_s)
            if not answer.stale or answer.limited:
                return answer
            self._upstream.doubt(repository.registry)
            old = old or answer
        try:
            return await ask(self._upstream, authorization)
        except (Unavailable, Denied) as error:
            if old is None or (isinstance(error, Denied) and error.status != 429):
                raise
            return old

    def _is_written(self, repository: Repository) -> bool:
        return self._written.get(repository, 0.0) > self._clock()

    async def _shown(self, registry: str, authorization: str | None) -> str | None:
        """What to show to a desk, empty for nothing; None: it is not to be asked."""
        if authorization == ANYBODY:
            return ""
        if authorization is None:
            own = await self._upstream.own_credential(registry)
            if own is None:
                return ""
            authorization = own.authorization
        return authorization if authorization and self._private else None

    def _note(self, seeder: Address, outcome: str, error: EagleError | None = None) -> None:
        self._metrics.relays.labels(outcome).inc()
        if error is None:
            if seeder in self._failing:
                self._failing.discard(seeder)
                log.info("seeder %s asks registries again", seeder)
        elif seeder not in self._failing:
            self._failing.add(seeder)
            log.warning("seeder %s cannot ask a registry for this node: %s", seeder, error)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteDesk:
    """The desk of a seeder on another node."""

    client: MetaInfoClient
    seeder: Address
    node_id: NodeId

    async def check_blob(self, blob: BlobRef, authorization: str | None) -> BlobInfo:
        """As the seeder's desk answers."""
        request = CheckRequest(
            registry=blob.repository.registry,
            repository=blob.repository.name,
            digest=blob.digest,
            authorization=authorization or "",
            node_id=self.node_id,
            request_id=request_id.get(),
        )
        with span("seeder question", "client", peer_attributes(self.seeder)):
            reply = await self.client.check(self.seeder, request)
        return BlobInfo(
            size=reply.size,
            age_s=reply.age_ms / 1000,
            stale=reply.stale,
            limited=reply.limited,
        )

    async def manifest(self, asked: ManifestQuestion) -> ManifestAnswer:
        """As the seeder's desk answers; that the body is what it is called is for the caller."""
        request = ManifestRequest(
            registry=asked.repository.registry,
            repository=asked.repository.name,
            reference=asked.reference,
            head=asked.method == "HEAD",
            accept=asked.accept,
            authorization=asked.authorization or "",
            fresh=asked.fresh,
            node_id=self.node_id,
            request_id=request_id.get(),
        )
        with span("seeder question", "client", peer_attributes(self.seeder)):
            reply = await self.client.manifest(self.seeder, request)
        return ManifestAnswer(
            digest=reply.digest,
            media_type=reply.media_type,
            size=reply.size,
            body=reply.body,
            age_s=reply.age_ms / 1000,
            stale=reply.stale,
            limited=reply.limited,
        )
