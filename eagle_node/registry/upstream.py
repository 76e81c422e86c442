"""The client of origin registries: check, fetch, forward."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Self

from multidict import CIMultiDict
from yarl import URL

from eagle_node.base.errors import Unavailable
from eagle_node.config.tree import ProxyConfig
from eagle_node.metrics.instruments import Metrics
from eagle_node.registry.answer import Asked, refuse_disguise, whole_size
from eagle_node.registry.authorizer import ANYBODY, Authorizer
from eagle_node.registry.blob_stream import BlobStream
from eagle_node.registry.credentials import Credentials
from eagle_node.registry.docker_config import Credential
from eagle_node.registry.endpoints import Endpoint, Endpoints
from eagle_node.registry.file_ref import FileRef, FileState, validator_of
from eagle_node.registry.forward_reply import ForwardReply
from eagle_node.registry.headers import (
    Headers,
    end_to_end,
    parse_length,
    through_mirror,
    to_forward,
    without_ns,
)
from eagle_node.registry.health_policy import RegistryHealth, RegistryTrouble
from eagle_node.registry.manifest_question import ManifestAnswer, ManifestQuestion
from eagle_node.registry.manifest_reply import (
    MAX_MANIFEST,
    ManifestReply,
    check_size,
    manifest_reply,
)
from eagle_node.registry.names import BlobRef, Repository
from eagle_node.registry.refusals import MAX_ERROR_BODY, refusal
from eagle_node.registry.tokens import TokenService
from eagle_node.registry.transport import Reply, Request, Transport
from eagle_node.runtime.budget import ByteBudget
from eagle_node.runtime.clock import Clock, monotonic

_NOT_BY_HEAD = frozenset({400, 403, 405, 501})
"""What storage answers to a HEAD where it would serve a GET: S3 and GCS sign the method as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobInfo:
    """What an origin tells of a blob that the asker may read."""

    size: int | None
    """Bytes; None if it was not told."""
    age_s: float = 0.0
    """Seconds since the origin said so."""
    stale: bool = False
    """Whether it is an old word, since the origin cannot be asked."""
    limited: bool = False
    """Whether it is stale because the registry has said to wait, so that nobody should ask it."""


class Upstream:
    """Asks origin registries, with the client's rights or the node's.

    ``authorization`` is the client's own ``Authorization`` header, None (see `Authorizer` for what
    happens then), or `ANYBODY`. Every method raises `Denied` for what the origin refuses and
    `Unavailable` for what cannot be had now; ``timeout_s`` bounds each silence, not the whole.
    `UsageError` at construction names a malformed ``--registry``.
    """

    def __init__(
        self,
        config: ProxyConfig,
        *,
        metrics: Metrics,
        download: ByteBudget,
        timeout_s: float,
        user_agent: str,
        clock: Clock = monotonic,
    ) -> None:
        self._endpoints = Endpoints(config)
        self._transport = Transport(
            metrics=metrics, download=download, timeout_s=timeout_s, user_agent=user_agent
        )
        self._health = RegistryHealth(clock)
        credentials = Credentials(config.docker_config, clock=clock)
        self._authorizer = Authorizer(
            self._transport,
            tokens=TokenService(self._transport, clock=clock),
            credentials=credentials,
            health=self._health,
        )
        self._credentials = credentials
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._resources.enter_async_context(self._transport)
        self._credentials.look()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._resources.aclose()

    def base_url(self, registry: str) -> URL:
        """Where ``registry`` is really reached; `Denied` with 404 if it may not be."""
        return self._endpoints.of(registry).base

    def written(self, repository: Repository) -> None:
        """A client of this node has changed something; the registry itself knows."""

    def troubles(self) -> list[RegistryTrouble]:
        """The registries that cannot be asked, or not now."""
        return self._health.troubles()

    def doubt(self, registry: str) -> None:
        """Another node says that ``registry`` is silent."""
        self._health.doubt(registry)

    def vouch(self, registry: str, age_s: float) -> None:
        """Another node has had an answer of ``registry`` ``age_s`` ago."""
        self._health.vouch(registry, age_s)

    async def reader(self, registry: str, authorization: str | None) -> str | None:
        """Whose rights count for one who shows ``authorization``.

        None shows nothing to a node that has credentials of its own for ``registry``, and has
        these; where it has none that is the same as `ANYBODY`.
        """
        if authorization is not None:
            return authorization
        try:
            own = await self._credentials.get(registry)
        except Unavailable:
            return None  # which is told when they are needed
        return ANYBODY if own is None else None

    async def own_credential(self, registry: str) -> Credential | None:
        """What this node proves itself with at ``registry`` for clients that show nothing."""
        return await self._credentials.get(registry)

    async def manifest(self, asked: ManifestQuestion) -> ManifestAnswer:
        """The registry's own answer, verified as by `fetch_manifest`."""
        reply = await self.fetch_manifest(
            asked.repository,
            asked.reference,
            method=asked.method,
            accept=asked.accept,
            authorization=asked.authorization,
        )
        return ManifestAnswer(
            digest=reply.digest, media_type=reply.media_type, size=reply.size, body=reply.body
        )

    async def check_blob(self, blob: BlobRef, authorization: str | None) -> BlobInfo:
        """Whether the asker may read ``blob``, by a HEAD: returns, or raises `Denied`."""
        state = await self._state(_Place.of_blob(blob), authorization)
        return BlobInfo(size=state.size)

    async def file_state(self, file: FileRef, authorization: str | None) -> FileState:
        """What the server tells of a file that the asker may read."""
        return await self._state(_Place.of_file(file), authorization)

    def open_blob(
        self,
        blob: BlobRef,
        *,
        start: int = 0,
        stop: int | None = None,
        authorization: str | None = None,
    ) -> AbstractAsyncContextManager[BlobStream]:
        """The bytes ``[start, stop)`` of ``blob``, unverified; ``stop`` None is its end.

        Entering it raises when the origin refuses, or answers with something else than these bytes.
        """
        return self._open(_Place.of_blob(blob), Asked(start=start, stop=stop), authorization)

    def open_file(
        self, file: FileRef, *, start: int, authorization: str | None
    ) -> AbstractAsyncContextManager[BlobStream]:
        """The bytes of a file from ``start`` on; as for `open_blob`."""
        return self._open(_Place.of_file(file), Asked(start=start, stop=None), authorization)

    async def fetch_manifest(
        self,
        repository: Repository,
        reference: str,
        *,
        method: str,
        accept: Sequence[str],
        authorization: str | None,
        if_none_match: str | None = None,
    ) -> ManifestReply:
        """The manifest by GET, or what a HEAD tells; `WrongContent` if the digest is another."""
        headers = CIMultiDict([("Accept", ", ".join(accept) or "*/*")])
        if if_none_match is not None:
            headers["If-None-Match"] = if_none_match
        path = f"/v2/{repository.name}/manifests/{reference}"
        subject = f"{repository}{'@' if ':' in reference else ':'}{reference}"
        request = self._request(repository, method, path, headers)
        async with self._send(request, repository, authorization) as reply:
            bodyless = method == "HEAD" or reply.status == 304
            if reply.status not in (200, 304) or (reply.status == 304 and if_none_match is None):
                await _refuse(reply, f"manifest {subject}", "MANIFEST_UNKNOWN")
            refuse_disguise(reply.headers, source=reply.name, subject=f"manifest {subject}")
            size = check_size(reply.headers, source=reply.name, subject=subject)
            return manifest_reply(
                reply.status,
                end_to_end(reply.headers),
                None if bodyless else await reply.read(MAX_MANIFEST),
                reference=reference,
                size=None if reply.status == 304 else size,
                source=reply.name,
            )

    @asynccontextmanager
    async def forward(
        self,
        method: str,
        registry: str,
        path_and_query: str,
        headers: Headers,
        body: AsyncIterable[bytes] | None,
        authorization: str | None,
    ) -> AsyncIterator[ForwardReply]:
        """The registry's answer to a request that needs nothing but passing on, refusals included.

        ``path_and_query`` is of the registry (no mirror's prefix), percent-encoded; its ``ns`` is
        dropped. Redirects are left to the client. ``Location`` and ``Link`` are turned such that
        they work through this mirror (`through_mirror`). A challenge is answered as for blobs,
        unless there is a body, which can be sent only once.
        """
        endpoint = self._endpoints.of(registry)
        path, _, query = path_and_query.partition("?")
        request = Request(
            endpoint=endpoint,
            method=method,
            url=endpoint.url(path, without_ns(query)),
            headers=to_forward(headers),
            body=body,
            follow=False,
        )
        async with self._authorizer.send(request, place=path, authorization=authorization) as reply:
            through = through_mirror(reply.headers, base=endpoint.base, registry=registry)
            yield ForwardReply(reply, through)

    @asynccontextmanager
    async def forward_url(
        self, method: str, url: URL, headers: Headers, body: AsyncIterable[bytes] | None
    ) -> AsyncIterator[ForwardReply]:
        """The answer to a forward proxy's request, by whatever server; credentials as they came.

        A configured registry that is silent is left alone, as it is for mirrors' clients.
        """
        endpoint, authorization = self._endpoints.at(url), headers.get("Authorization")
        request = Request(
            endpoint=endpoint,
            method=method,
            url=url,
            headers=to_forward(headers),
            body=body,
            follow=False,
        )
        if not self._endpoints.is_configured(endpoint.name) or "/v2/" not in url.path:
            async with self._transport.send(request) as reply:
                yield ForwardReply(reply, end_to_end(reply.headers))
            return
        async with self._authorizer.pass_on(request, authorization=authorization) as reply:
            yield ForwardReply(reply, end_to_end(reply.headers))

    async def _state(self, place: _Place, authorization: str | None) -> FileState:
        """What a HEAD tells, or else the first byte: storage may take a URL signed for GET only."""
        request = self._request(place.repository, "HEAD", place.path, {"Accept": "*/*"})
        async with self._send(request, place.repository, authorization) as reply:
            if 200 <= reply.status < 300:
                refuse_disguise(reply.headers, source=reply.name, subject=place.subject)
                return FileState(
                    size=parse_length(reply.headers.get("Content-Length")),
                    validator=validator_of(reply.headers),
                )
            storage = reply.foreign or place.own_url
            if not storage or reply.status not in _NOT_BY_HEAD:
                await _refuse(reply, place.subject, "BLOB_UNKNOWN")
        async with self._get(place, Asked(start=0, stop=1), authorization) as (reply, size):
            return FileState(size=size, validator=validator_of(reply.headers))

    @asynccontextmanager
    async def _open(
        self, place: _Place, asked: Asked, authorization: str | None
    ) -> AsyncIterator[BlobStream]:
        subject = place.subject
        async with self._get(place, asked, authorization) as (reply, size):
            if size is None:
                size = (await self._state(place, authorization)).size
            if size is None:
                raise Unavailable(f"{reply.name} does not tell the size of {subject}")
            stop = size if asked.stop is None else min(asked.stop, size)
            yield BlobStream(reply, subject=subject, start=asked.start, stop=stop, size=size)

    @asynccontextmanager
    async def _get(
        self, place: _Place, asked: Asked, authorization: str | None
    ) -> AsyncIterator[tuple[Reply, int | None]]:
        """The answer that holds the bytes asked for, and the size of the whole if it tells it."""
        headers = {"Accept": "*/*"}
        if (wanted := asked.header()) is not None:
            headers["Range"] = wanted
        request = self._request(place.repository, "GET", place.path, headers)
        async with self._send(request, place.repository, authorization) as reply:
            about = {"source": reply.name, "subject": place.subject}
            if reply.status not in (200, 206):
                await _refuse(reply, place.subject, "BLOB_UNKNOWN")
            refuse_disguise(reply.headers, **about)
            yield reply, whole_size(asked, reply.status, reply.headers, **about)

    def _request(
        self, repository: Repository, method: str, path: str, headers: Mapping[str, str]
    ) -> Request:
        endpoint: Endpoint = self._endpoints.of(repository.registry)
        return Request(
            endpoint=endpoint,
            method=method,
            url=endpoint.url(path),
            headers=CIMultiDict({**headers, "Accept-Encoding": "identity"}),
        )

    def _send(
        self, request: Request, repository: Repository, authorization: str | None
    ) -> AbstractAsyncContextManager[Reply]:
        return self._authorizer.send(request, place=repository.name, authorization=authorization)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where at a registry something is, and what it is called in messages."""

    repository: Repository
    path: str
    subject: str
    own_url: bool
    """Whether it is served at a URL that a client has named, which may be signed for GET only."""

    @classmethod
    def of_blob(cls, blob: BlobRef) -> _Place:
        return cls(blob.repository, blob.path, f"blob {blob}", bool(blob.served_at))

    @classmethod
    def of_file(cls, file: FileRef) -> _Place:
        return cls(file.repository, file.served_at, f"file {file}", True)


async def _refuse(reply: Reply, subject: str, not_found: str) -> None:
    """Raise what an unsuccessful ``reply`` means."""
    try:
        body = await reply.read(MAX_ERROR_BODY)
    except Unavailable:
        body = b""
    error = refusal(
        reply.status,
        reply.headers,
        body,
        source=reply.name,
        subject=subject,
        challenge=reply.challenge,
        not_found=not_found,
    )
    # Where the origin redirects to, it has said yes: that server's no is a fault, not a refusal.
    raise Unavailable(str(error)) if reply.foreign else error
