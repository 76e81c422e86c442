"""The control API's routes."""

from __future__ import annotations

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from eagle_node.api.codec import to_json
from eagle_node.api.problems import problem_response, problems
from eagle_node.api.schema import Readiness
from eagle_node.api.source import StatusSource
from eagle_node.metrics.instruments import Metrics

_MAX_BODY = 64 * 1024
"""Bytes of a request body; no route takes one."""


def build_api(source: StatusSource, metrics: Metrics) -> web.Application:
    """An application that serves what ``source`` and ``metrics`` tell.

    ``/healthz`` answers while the process serves requests at all; ``/readyz`` is 503 with the
    reasons while clients cannot be served. Errors are RFC 9457 problem documents.
    """
    handlers = _Handlers(source, metrics)
    app = web.Application(middlewares=[problems], client_max_size=_MAX_BODY)
    app.add_routes(
        [
            web.get("/healthz", handlers.healthz),
            web.get("/readyz", handlers.readyz),
            web.get("/metrics", handlers.metrics),
            web.get("/v1/status", handlers.status),
            web.get("/v1/blobs", handlers.blobs),
        ]
    )
    return app


class _Handlers:
    def __init__(self, source: StatusSource, metrics: Metrics) -> None:
        self._source = source
        self._metrics = metrics

    async def healthz(self, _: web.Request) -> web.Response:
        return web.json_response({"healthy": True})

    async def readyz(self, request: web.Request) -> web.Response:
        reasons = tuple(await self._source.ready())
        readiness = to_json(Readiness(ready=not reasons, reasons=reasons))
        if not reasons:
            return web.json_response(readiness)
        return problem_response(request, 503, "; ".join(reasons), extensions=readiness)

    async def metrics(self, _: web.Request) -> web.Response:
        headers = {"Content-Type": CONTENT_TYPE_LATEST}
        return web.Response(body=self._metrics.exposition(), headers=headers)

    async def status(self, _: web.Request) -> web.Response:
        return web.json_response(to_json(await self._source.status()))

    async def blobs(self, _: web.Request) -> web.Response:
        return web.json_response(to_json(await self._source.blobs()))
