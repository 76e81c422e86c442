"""The control API's answers."""

from __future__ import annotations

import gzip
import json
from typing import Any, TypeVar

from aiohttp import hdrs, web

from eagle_node.api.codec import field_names, from_json, to_json
from eagle_node.api.event_log import EventLog
from eagle_node.api.event_stream import stream_events
from eagle_node.api.guard import guard
from eagle_node.api.naming import name_requests
from eagle_node.api.problems import Refusal, problem_response, problems
from eagle_node.api.query import parse_blob_query
from eagle_node.api.routes import ACTIONS, ROUTES
from eagle_node.api.schema import (
    Health,
    Members,
    PreheatRequest,
    Readiness,
    SettingChange,
)
from eagle_node.api.source import NodeSource
from eagle_node.base.digest import parse_digest
from eagle_node.base.errors import UsageError
from eagle_node.config.suggest import did_you_mean
from eagle_node.metrics.instruments import Metrics
from eagle_node.metrics.negotiation import accepts_gzip, choose_format

D = TypeVar("D")

_MAX_BODY = 64 * 1024
"""Bytes of a request body."""
_GZIP_LEVEL = 1
"""Of zlib: a scrape of some 20 KB shrinks to a tenth within a millisecond."""


def build_api(
    source: NodeSource,
    metrics: Metrics,
    *,
    events: EventLog | None = None,
    token: str | None = None,
) -> web.Application:
    """An application that serves what ``source``, ``metrics`` and ``events`` tell.

    ``token``: what callers must show; None: nothing, but only those on this host may call.

    ``/healthz`` answers while the process serves requests at all; ``/readyz`` is 503 with the
    reasons while clients cannot be served. Errors are RFC 9457 problem documents. Every answer
    names its request (`name_requests`).
    """
    events = events or EventLog()
    handlers = _Handlers(source, metrics, events)
    app = web.Application(middlewares=[problems, guard(token)], client_max_size=_MAX_BODY)
    name_requests(app)
    for route in ROUTES:
        app.router.add_route(route.method, route.path, getattr(handlers, route.name))
        if route.method == "GET" and route.name != "events":
            app.router.add_route("HEAD", route.path, getattr(handlers, route.name))

    async def let_go(_: web.Application) -> None:
        events.close()

    app.on_shutdown.append(let_go)
    return app


class _Handlers:
    """A method for each route, under the route's name."""

    def __init__(self, source: NodeSource, metrics: Metrics, events: EventLog) -> None:
        self._source = source
        self._metrics = metrics
        self._events = events

    async def healthz(self, _: web.Request) -> web.Response:
        return _answer(Health(healthy=True))

    async def readyz(self, request: web.Request) -> web.Response:
        reasons = tuple(await self._source.ready())
        readiness = Readiness(ready=not reasons, reasons=reasons)
        if not reasons:
            return _answer(readiness)
        return problem_response(request, 503, "; ".join(reasons), extensions=to_json(readiness))

    async def metrics(self, request: web.Request) -> web.Response:
        form = choose_format(_values(request, hdrs.ACCEPT))
        body = self._metrics.exposition(form)
        headers = {hdrs.CONTENT_TYPE: form.value, hdrs.VARY: "Accept, Accept-Encoding"}
        if accepts_gzip(_values(request, hdrs.ACCEPT_ENCODING)):
            body = gzip.compress(body, _GZIP_LEVEL)
            headers[hdrs.CONTENT_ENCODING] = "gzip"
        return web.Response(body=body, headers=headers)

    async def openapi(self, _: web.Request) -> web.Response:
        from eagle_node.api.openapi import openapi_document

        return web.json_response(openapi_document())

    async def status(self, _: web.Request) -> web.Response:
        return _answer(await self._source.status())

    async def members(self, _: web.Request) -> web.Response:
        status = await self._source.status()
        return _answer(Members(members=status.cluster.members))

    async def transfers(self, _: web.Request) -> web.Response:
        return _answer(await self._source.transfers())

    async def history(self, _: web.Request) -> web.Response:
        return _answer(await self._source.history())

    async def blobs(self, request: web.Request) -> web.Response:
        return _answer(await self._source.blobs(parse_blob_query(request.query)))

    async def act(self, request: web.Request) -> web.Response:
        action = request.match_info["action"]
        if action not in ACTIONS:
            raise web.HTTPNotFound
        return _answer(await self._source.act(parse_digest(request.match_info["digest"]), action))

    async def events(self, request: web.Request) -> web.StreamResponse:
        return await stream_events(request, self._events)

    async def settings(self, _: web.Request) -> web.Response:
        return _answer(await self._source.settings())

    async def change(self, request: web.Request) -> web.Response:
        return _answer(await self._source.change(await _body(request, SettingChange)))

    async def preheat_jobs(self, _: web.Request) -> web.Response:
        return _answer(await self._source.preheat_jobs())

    async def preheat(self, request: web.Request) -> web.Response:
        job = await self._source.preheat(await _body(request, PreheatRequest))
        location = {"Location": f"/v1/preheat/{job.id}"}
        return web.json_response(to_json(job), status=202, headers=location)

    async def preheat_job(self, request: web.Request) -> web.Response:
        return _answer(await self._source.preheat_job(_job(request)))

    async def cancel_preheat(self, request: web.Request) -> web.Response:
        return _answer(await self._source.cancel_preheat(_job(request)))


def _values(request: web.Request, name: str) -> str:
    """All lines of a list-valued header as one (RFC 9110 section 5.3)."""
    return ", ".join(request.headers.getall(name, ()))


def _answer(document: Any) -> web.Response:
    return web.json_response(to_json(document))


async def _body(request: web.Request, schema: type[D]) -> D:
    """The request's body; `UsageError` or `BadDocument` says what is wrong with it."""
    try:
        document = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the body is no JSON: {error}") from error
    if isinstance(document, dict):
        known = field_names(schema)
        if unknown := sorted(document.keys() - set(known)):
            hint = did_you_mean(unknown[0], known) or f"; it may have {', '.join(known)}"
            raise UsageError(f"the body has nothing called {unknown[0][:40]!r}{hint}")
    return from_json(schema, document)


def _job(request: web.Request) -> int:
    text = request.match_info["job"]
    if not (text.isascii() and text.isdigit()) or len(text) > 12:
        raise Refusal(f"there is no preheat job {text[:40]!r}", status=404)
    return int(text)
