"""Manifests for clients."""

from __future__ import annotations

import logging
from collections.abc import Callable

from aiohttp import hdrs, web

from eagle_node.base.digest import Digest
from eagle_node.metrics.instruments import Metrics
from eagle_node.proxy.conditional import head_response, none_match_fails
from eagle_node.registry.manifest_question import ManifestAnswer, ManifestQuestion
from eagle_node.registry.manifests import Manifests
from eagle_node.registry.names import Repository
from eagle_node.registry.route import ManifestRoute
from eagle_node.runtime.tracing import note

log = logging.getLogger(__name__)

_STALE = '110 eagle-node "Response is Stale"'
"""RFC 7234 section 5.5.1; RFC 9111 has dropped the header, and no other says the same."""


Named = Callable[[Repository, str, bytes], None]
"""Hears of each manifest that is given: its repository, what it was asked for by, its bytes."""

Given = Callable[[Repository, Digest, bytes, str | None], None]
"""Hears of each manifest that a client is given: its repository, digest, bytes, and whom to."""


class ManifestHandler:
    """GET and HEAD of manifests.

    A stale answer bears a ``Warning`` and its ``Age``; ``Cache-Control: no-cache`` in a request has
    the registry asked, whatever is remembered.
    """

    def __init__(
        self,
        manifests: Manifests,
        metrics: Metrics,
        *,
        given: Given | None = None,
        named: Named | None = None,
    ) -> None:
        self._manifests = manifests
        self._metrics = metrics
        self._given = given
        self._named = named
        self._stale: set[str] = set()

    async def handle(self, request: web.BaseRequest, route: ManifestRoute) -> web.StreamResponse:
        """The manifest, or for HEAD what is known of it."""
        asked = ManifestQuestion(
            repository=route.repository,
            reference=route.reference,
            method=request.method,
            accept=tuple(request.headers.getall(hdrs.ACCEPT, ())),
            authorization=request.headers.get(hdrs.AUTHORIZATION),
            fresh="no-cache" in request.headers.get(hdrs.CACHE_CONTROL, "").lower(),
        )
        note({**route.repository.attributes, "oci.manifest.reference": str(route.reference)})
        answer = await self._manifests.get(asked)
        if answer.stale:
            self._metrics.stale_answers.labels("digest" if asked.is_digest else "tag").inc()
        self._note(route, answer)
        return self._respond(request, asked, answer)

    def written(self, route: ManifestRoute) -> None:
        """A client has put or deleted the manifest."""
        self._manifests.written(route.repository, route.reference)

    def _respond(
        self, request: web.BaseRequest, asked: ManifestQuestion, answer: ManifestAnswer
    ) -> web.StreamResponse:
        headers = _headers(answer)
        if self._named is not None and request.method == hdrs.METH_GET:
            self._named(asked.repository, asked.reference, answer.body)
        if answer.digest is not None and none_match_fails(request, headers[hdrs.ETAG]):
            return web.Response(status=304, headers=headers)
        if request.method == hdrs.METH_HEAD:
            return head_response(headers, answer.size)
        self._metrics.served("local" if answer.kept else "origin", len(answer.body))
        if self._given is not None and answer.digest is not None:
            self._given(asked.repository, answer.digest, answer.body, asked.authorization)
        return web.Response(body=answer.body, headers=headers)

    def _note(self, route: ManifestRoute, answer: ManifestAnswer) -> None:
        """Log when a registry's answers begin to be old ones, and when they are its own again."""
        registry = route.repository.registry
        if answer.stale and registry not in self._stale:
            self._stale.add(registry)
            log.warning(
                "registry %s cannot be asked; serving what it last said: %s, %d s old",
                registry,
                route.path,
                answer.age_s,
            )
        elif not answer.stale and not answer.kept and registry in self._stale:
            self._stale.discard(registry)
            log.info("registry %s answers again", registry)


def _headers(answer: ManifestAnswer) -> dict[str, str]:
    headers = {
        hdrs.CONTENT_TYPE: answer.media_type or "application/octet-stream",
        "Docker-Distribution-Api-Version": "registry/2.0",
    }
    if answer.digest is not None:
        headers |= {"Docker-Content-Digest": answer.digest, hdrs.ETAG: f'"{answer.digest}"'}
    if answer.stale:
        headers |= {hdrs.WARNING: _STALE, hdrs.AGE: str(int(answer.age_s))}
    return headers
