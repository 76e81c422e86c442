"""The webhook listener: registries tell of pushes, Harbor asks for preheating.

Answers come at once; what is to be done is a job. A name in a message is looked up among the
configured registries and never dialled as it stands.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from base64 import b64decode
from collections.abc import Iterable

from aiohttp import hdrs, web
from yarl import URL

from eagle_node.api.naming import name_requests
from eagle_node.api.problems import Handler, Refusal, problems
from eagle_node.api.schema import PreheatJob, PreheatRequest
from eagle_node.base.errors import BadDigest, UsageError
from eagle_node.config.tree import RegistryConfig
from eagle_node.preheat.jobs import Preheater
from eagle_node.preheat.notifications import (
    Pushed,
    parse_distribution,
    parse_harbor,
    parse_kraken,
)
from eagle_node.preheat.providers import parse_dragonfly, render_dragonfly
from eagle_node.registry.image_reference import ImageReference
from eagle_node.registry.names import (
    BadName,
    Repository,
    authority_of,
    parse_reference,
    parse_repository_name,
)
from eagle_node.runtime.clock import Clock, monotonic

log = logging.getLogger(__name__)

_MAX_BODY = 1 << 20
"""Bytes of a notification."""
_RATE = 10.0
"""Requests per second ..."""
_BURST = 100.0
"""... and how many at once."""
_HEALTH = ("/health", "/healthy")
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="eagle-node webhooks"'}


class Allowance:
    """So many requests at once, and so many per second; those of strangers cost senders nothing."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._left = _BURST
        self._updated = clock()

    def take(self) -> None:
        """Count a request; `Refusal` when there have been too many."""
        now = self._clock()
        self._left = min(_BURST, self._left + (now - self._updated) * _RATE)
        self._updated = now
        if self._left < 1:
            raise Refusal("too many requests", status=429, headers={"Retry-After": "1"})
        self._left -= 1


class Webhooks:
    """Answers webhooks by starting jobs of ``preheater`` for ``nodes``.

    ``token`` None: none is asked for. It may be shown as a bearer token, as the password of basic
    credentials, as the bare ``Authorization``, before the path (``/t/TOKEN/…``, for senders that
    know no credentials), or as the key of an HMAC of the body (``X-Hub-Signature-256``).
    """

    def __init__(
        self,
        preheater: Preheater,
        registries: Iterable[RegistryConfig],
        *,
        token: str | None,
        nodes: str,
        clock: Clock = monotonic,
    ) -> None:
        self._preheater = preheater
        self._names = {each.name: each.name for each in registries}
        self._names |= {authority_of(URL(each.url)): each.name for each in registries}
        self._token = token
        self._nodes = nodes
        self._senders, self._strangers = Allowance(clock), Allowance(clock)

    def app(self) -> web.Application:
        """A fresh application with all routes."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            await self._let_in(request)
            return await handler(request)

        app = web.Application(middlewares=[problems, guard], client_max_size=_MAX_BODY)
        name_requests(app)
        for prefix in ("", "/t/{token}"):
            for path in _HEALTH:
                app.router.add_get(prefix + path, self._healthy)
            app.router.add_post(f"{prefix}/v1/notifications", self._distribution)
            app.router.add_post(f"{prefix}/v1/harbor", self._harbor)
            app.router.add_post(f"{prefix}/registry/notifications", self._kraken)
            app.router.add_post(f"{prefix}/oapi/v1/jobs", self._dragonfly)
            app.router.add_get(f"{prefix}/oapi/v1/jobs/{{job}}", self._dragonfly_job)
        return app

    async def _let_in(self, request: web.Request) -> None:
        """`Refusal` when the sender may not, or not now."""
        if request.match_info.http_exception is not None or request.path in _HEALTH:
            return
        if hdrs.ORIGIN in request.headers:
            raise Refusal("pages may not use this listener", status=403)
        if self._token is None or await _shows(request, self._token):
            self._senders.take()
            return
        self._strangers.take()
        raise Refusal(
            "this listener needs the token in the node's --webhook-token-file",
            status=401,
            headers=_CHALLENGE,
        )

    async def _healthy(self, _: web.Request) -> web.Response:
        return web.json_response({"healthy": True})

    async def _distribution(self, request: web.Request) -> web.Response:
        return await self._take(parse_distribution(await request.read()))

    async def _harbor(self, request: web.Request) -> web.Response:
        return await self._take(parse_harbor(await request.read()))

    async def _kraken(self, request: web.Request) -> web.Response:
        return await self._take(parse_kraken(await request.read()))

    async def _dragonfly(self, request: web.Request) -> web.Response:
        order = parse_dragonfly(await request.read())
        job = await self._start(
            (order.host,),
            order.repository,
            order.reference,
            nodes=order.nodes,
            authorization=order.authorization,
        )
        return web.json_response(render_dragonfly(job))

    async def _dragonfly_job(self, request: web.Request) -> web.Response:
        text = request.match_info["job"]
        if not (text.isascii() and text.isdigit()) or len(text) > 12:
            raise Refusal(f"there is no preheat job {text[:40]!r}", status=404)
        return web.json_response(render_dragonfly(self._preheater.job(int(text))))

    async def _take(self, pushed: Iterable[Pushed]) -> web.Response:
        """Start a job for each image; what is of no configured registry is left out."""
        jobs: list[int] = []
        for each in pushed:
            try:
                job = await self._start(
                    each.hosts, each.repository, each.reference, nodes=self._nodes
                )
                jobs.append(job.id)
            except (UsageError, BadDigest) as error:
                log.info("a push is not preheated: %s", error)
        return web.json_response({"jobs": jobs}, status=202)

    async def _start(
        self,
        hosts: Iterable[str],
        repository: str,
        reference: str,
        *,
        nodes: str,
        authorization: str | None = None,
    ) -> PreheatJob:
        hosts = tuple(hosts)
        registry = next((self._names[host] for host in hosts if host in self._names), None)
        if registry is None:
            named = ", ".join(host[:100] for host in hosts) or "nobody"
            raise UsageError(
                f"{named} is no configured registry of this node; name it with --registry NAME=URL"
            )
        try:
            image = ImageReference(
                Repository(registry, parse_repository_name(repository)), parse_reference(reference)
            )
        except BadName as error:
            raise UsageError(str(error)) from error
        return await self._preheater.start(
            PreheatRequest(image=str(image), nodes=nodes),
            authorization=authorization,
            announced=True,
        )


async def _shows(request: web.Request, token: str) -> bool:
    """Whether the sender knows the token; every comparison takes the same time."""
    expected = token.encode()
    shown = [request.match_info.get("token", "").encode()]
    authorization = request.headers.get(hdrs.AUTHORIZATION, "")
    scheme, _, value = authorization.partition(" ")
    match scheme.lower():
        case "bearer":
            shown.append(value.strip().encode())
        case "basic":
            shown.append(_password(value))
        case _:
            shown.append(authorization.encode())
    known = [hmac.compare_digest(each, expected) for each in shown]
    signature = request.headers.get("X-Hub-Signature-256", "")
    if signature:
        body = await request.read()
        made = "sha256=" + hmac.new(expected, body, hashlib.sha256).hexdigest()
        known.append(hmac.compare_digest(signature.encode(), made.encode()))
    return any(known)


def _password(value: str) -> bytes:
    try:
        return b64decode(value, validate=True).partition(b":")[2]
    except ValueError:
        return b""
