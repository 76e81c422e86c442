"""Manifests for clients: the origin decides, what it said is remembered."""

from __future__ import annotations

import logging
from collections.abc import Callable

from aiohttp import hdrs, web

from eagle_node.base.digest import Digest, digest_of, parse_digest
from eagle_node.base.errors import Denied, EagleError, Unavailable
from eagle_node.metrics.instruments import Metrics
from eagle_node.proxy.conditional import head_response, none_match_fails
from eagle_node.proxy.manifest_store import ManifestStore, StoredManifest
from eagle_node.registry.access import AccessKey, AccessMemory
from eagle_node.registry.manifest_reply import ManifestReply
from eagle_node.registry.names import BlobRef, Repository
from eagle_node.registry.route import ManifestRoute
from eagle_node.registry.upstream import Upstream
from eagle_node.runtime.singleflight import SingleFlight

log = logging.getLogger(__name__)

_STALE = '110 - "Response is Stale"'
"""RFC 7234 section 5.5.1."""


Named = Callable[[Repository, str, bytes], None]
"""Hears of each manifest that is given: its repository, what it was asked for by, its bytes."""

Given = Callable[[Repository, Digest, bytes, str | None], None]
"""Hears of each manifest that a client is given: its repository, digest, bytes, and whom to."""


class ManifestHandler:
    """GET and HEAD of manifests.

    By digest: from the store once the origin has said yes to this client, for as long as that is
    remembered. By tag: asked at the origin each time, requests for the same joined; while it cannot
    answer, what the tag last named, within the same memory's limit and marked as stale.
    """

    def __init__(
        self,
        upstream: Upstream,
        store: ManifestStore,
        memory: AccessMemory,
        metrics: Metrics,
        *,
        given: Given | None = None,
        named: Named | None = None,
    ) -> None:
        self._upstream = upstream
        self._store = store
        self._memory = memory
        self._metrics = metrics
        self._given = given
        self._named = named
        self._asking: SingleFlight[tuple[object, ...], ManifestReply] = SingleFlight("manifest")

    async def handle(self, request: web.BaseRequest, route: ManifestRoute) -> web.StreamResponse:
        """The manifest, or for HEAD what is known of it."""
        authorization = request.headers.get(hdrs.AUTHORIZATION)
        if route.is_digest:
            allowed = self._memory.recall(self._key(route, authorization, route.reference))
            stored = allowed and await self._store.get(parse_digest(route.reference))
            if stored:
                self._tell(request, route, stored.digest, stored.body)
                return self._stored(request, stored, stale=False)
        try:
            reply = await self._ask(request, route, authorization)
        except (Unavailable, Denied) as error:
            if isinstance(error, Denied) and error.status != 429:
                raise
            return await self._stale(request, route, authorization, error)
        return await self._fresh(request, route, authorization, reply)

    async def _ask(
        self, request: web.BaseRequest, route: ManifestRoute, authorization: str | None
    ) -> ManifestReply:
        accept = tuple(request.headers.getall(hdrs.ACCEPT, ()))
        key = (request.method, route.path, route.repository, accept, authorization)
        return await self._asking.run(
            key,
            lambda: self._upstream.fetch_manifest(
                route.repository,
                route.reference,
                method=request.method,
                accept=accept,
                authorization=authorization,
            ),
        )

    async def _fresh(
        self,
        request: web.BaseRequest,
        route: ManifestRoute,
        authorization: str | None,
        reply: ManifestReply,
    ) -> web.StreamResponse:
        digest = reply.digest
        if reply.body:
            digest = digest_of(reply.body)
            media_type = reply.media_type
            await self._store.put(
                StoredManifest(digest=digest, media_type=media_type, body=reply.body)
            )
            self._metrics.served("origin", len(reply.body))
            self._tell(request, route, digest, reply.body)
        if digest is not None:
            self._memory.remember_yes(self._key(route, authorization, digest))
            if not route.is_digest:
                await self._store.tag(route.repository, route.reference, digest)
        headers = _headers(digest, reply.media_type)
        if request.method == hdrs.METH_HEAD:
            return head_response(headers, reply.size)
        return web.Response(body=reply.body, headers=headers)

    async def _stale(
        self,
        request: web.BaseRequest,
        route: ManifestRoute,
        authorization: str | None,
        error: EagleError,
    ) -> web.StreamResponse:
        """What the origin said before it went away; its failure when there is nothing."""
        digest: Digest | None
        if route.is_digest:
            digest = parse_digest(route.reference)
        else:
            digest = await self._store.tagged(route.repository, route.reference)
        if digest is None:
            raise error
        if self._memory.recall_stale(self._key(route, authorization, digest)) is None:
            raise error
        stored = await self._store.get(digest)
        if stored is None:
            raise error
        log.warning("%s; serving %s as last seen", error, route.path)
        self._metrics.fallbacks.labels("stale").inc()
        return self._stored(request, stored, stale=True)

    def _stored(
        self, request: web.BaseRequest, stored: StoredManifest, *, stale: bool
    ) -> web.StreamResponse:
        headers = _headers(stored.digest, stored.media_type)
        if stale:
            headers[hdrs.WARNING] = _STALE
        if none_match_fails(request, headers[hdrs.ETAG]):
            return web.Response(status=304, headers=headers)
        if request.method == hdrs.METH_HEAD:
            return head_response(headers, len(stored.body))
        self._metrics.served("local", len(stored.body))
        return web.Response(body=stored.body, headers=headers)

    def _tell(
        self, request: web.BaseRequest, route: ManifestRoute, digest: Digest, body: bytes
    ) -> None:
        """The client is about to ask for what the manifest names; not if it only looks."""
        if request.method != hdrs.METH_GET:
            return
        if self._named is not None:
            self._named(route.repository, route.reference, body)
        if self._given is None:
            return
        if not none_match_fails(request, f'"{digest}"'):
            self._given(route.repository, digest, body, request.headers.get(hdrs.AUTHORIZATION))

    def _key(self, route: ManifestRoute, authorization: str | None, digest: str) -> AccessKey:
        blob = BlobRef(repository=route.repository, digest=parse_digest(digest))
        return self._memory.key(blob, authorization)


def _headers(digest: Digest | None, media_type: str) -> dict[str, str]:
    headers = {
        hdrs.CONTENT_TYPE: media_type or "application/octet-stream",
        "Docker-Distribution-Api-Version": "registry/2.0",
    }
    if digest is not None:
        headers |= {"Docker-Content-Digest": digest, hdrs.ETAG: f'"{digest}"'}
    return headers
