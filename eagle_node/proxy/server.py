"""The proxy's listener: one handler for every request, whatever form it comes in."""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import AsyncExitStack
from typing import Self

from aiohttp import hdrs, web

from eagle_node.base.errors import Denied, EagleError
from eagle_node.config.tree import ProxyConfig
from eagle_node.metrics.instruments import Metrics
from eagle_node.proxy import files, looks
from eagle_node.proxy.blobs import BlobHandler
from eagle_node.proxy.check import CheckAnswers
from eagle_node.proxy.connect import Connects
from eagle_node.proxy.forward import Forward
from eagle_node.proxy.front import Front
from eagle_node.proxy.intercept import Intercepts
from eagle_node.proxy.looks import LookHandler
from eagle_node.proxy.manifests import ManifestHandler
from eagle_node.proxy.passing import Passing
from eagle_node.proxy.protocol import HttpServer
from eagle_node.proxy.rules import Rules
from eagle_node.proxy.way_out import with_way_out
from eagle_node.proxy.writes import Writes
from eagle_node.registry.errors import oci_error
from eagle_node.registry.names import BadName
from eagle_node.registry.route import (
    BlobRoute,
    CatalogRoute,
    ManifestRoute,
    Ping,
    Route,
    parse_route,
)
from eagle_node.runtime.context import REQUEST_ID_HEADER, accepted_id, request_id
from eagle_node.runtime.tracing import Tracer, note, note_failure, serving
from eagle_node.trust.local_ca_file import LocalCaFile

log = logging.getLogger(__name__)

_READS = (hdrs.METH_GET, hdrs.METH_HEAD)
_BACKLOG = 1024
_SHUTDOWN_S = 3.0
"""For requests under way."""


class Proxy:
    """Mirror and forward proxy; an async context manager that listens."""

    def __init__(
        self,
        config: ProxyConfig,
        listener: socket.socket,
        *,
        blobs: BlobHandler,
        manifests: ManifestHandler,
        passing: Passing,
        rules: Rules,
        look: LookHandler,
        metrics: Metrics,
        ca: LocalCaFile,
        tracer: Tracer | None = None,
    ) -> None:
        self._config = config
        self._listener = listener
        self._blobs = blobs
        self._manifests = manifests
        self._passing = passing
        self._looks = look
        self._writes = Writes(blobs, manifests)
        self._forward = Forward(blobs, manifests, passing, rules, self._writes)
        self._metrics = metrics
        self._tracer = tracer
        self._check = CheckAnswers()
        self._connects = Connects(Intercepts(config), ca, metrics)
        self._waiting: set[Front] = set()
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        http = HttpServer(self._handle, handler_cancellation=True, access_log=None)
        self._connects.server = http
        await self._connects.check()
        self._resources.push_async_callback(http.shutdown, _SHUTDOWN_S)
        self._resources.callback(http.pre_shutdown)
        self._resources.push_async_callback(self._connects.aclose)
        listening = await loop.create_server(
            lambda: Front(http, self._connects.begin, self._waiting),
            sock=self._listener,
            backlog=_BACKLOG,
        )
        self._resources.callback(self._abort_waiting)
        self._resources.callback(listening.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._resources.aclose()

    def _abort_waiting(self) -> None:
        for front in list(self._waiting):
            front.transport.abort()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        request_id.set(accepted_id(request.headers.get(REQUEST_ID_HEADER, "")))
        about = {"http.request.method": request.method, "eagle.request_id": request_id.get()}
        with serving(self._tracer, "client request", request.headers, about):
            return await self._answer(request)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        kind, status = "other", 500
        response: web.StreamResponse | None
        try:
            if request.method == hdrs.METH_CONNECT:
                raise BadName(
                    "a CONNECT must come first on a connection; make another one for it",
                    code="UNSUPPORTED",
                    status=501,
                )
            opened = self._connects.opened_on(request.transport)
            if opened is not None:
                kind = "opened"
                response = await self._forward.opened(request, opened)
            elif not request.raw_path.startswith("/"):
                kind = "forward"
                response = await self._forward.plain(request)
            elif request.rel_url.raw_path == files.PATH and request.method in _READS:
                kind = "file"
                response = await self._file(request)
            elif request.rel_url.raw_path == looks.PATH and request.method == hdrs.METH_POST:
                kind = "file"
                response = await self._look(request)
            else:
                route = parse_route(
                    request.method,
                    request.raw_path.partition("?")[0],
                    request.query,
                    default_registry=self._config.default_registry,
                )
                kind = type(route).__name__.removesuffix("Route").lower()
                response = self._check.answer(request, route)
                if response is None:
                    response = await self._mirror_or_refuse(request, route)
            status = response.status
            return response
        except EagleError as error:
            status, headers, body = oci_error(error)
            headers[REQUEST_ID_HEADER] = request_id.get()
            log.info("%s %s: %d %s", request.method, request.path, status, error)
            if status >= 500:
                note_failure(error)
            if request.method == hdrs.METH_HEAD:
                return web.Response(status=status, headers=headers)
            return web.Response(status=status, headers=headers, body=body)
        except (ConnectionError, TimeoutError) as error:
            log.debug("%s %s: the client went away: %s", request.method, request.path, error)
            raise
        finally:
            self._metrics.requests.labels(kind, str(status)).inc()
            note({"eagle.kind": kind, "http.response.status_code": status})

    async def _file(self, request: web.BaseRequest) -> web.StreamResponse:
        found = files.parse_file(request.query, request.headers, self._config.registries)
        if request.method == hdrs.METH_HEAD:
            return await self._blobs.head(request, found.blob)
        return await self._blobs.get(
            request, found.blob, lambda each: self._passing.absolute(each, found.url)
        )

    async def _look(self, request: web.BaseRequest) -> web.StreamResponse:
        registries = self._config.registries
        file, _ = files.parse_url(request.query, request.headers, registries)
        return await self._looks.handle(request, file)

    async def _mirror_or_refuse(self, request: web.BaseRequest, route: Route) -> web.StreamResponse:
        try:
            return await self._mirror(request, route)
        except Denied as error:
            raise with_way_out(error, request, route, _registry(route)) from error

    async def _mirror(self, request: web.BaseRequest, route: Route) -> web.StreamResponse:
        match route:
            case BlobRoute(blob) if request.method == hdrs.METH_HEAD:
                return await self._blobs.head(request, blob)
            case BlobRoute(blob) if request.method == hdrs.METH_GET:
                return await self._blobs.get(
                    request,
                    blob,
                    lambda each: self._passing.mirror(each, blob.repository.registry, route),
                )
            case ManifestRoute() if request.method in _READS:
                return await self._manifests.handle(request, route)
        response = await self._passing.mirror(request, _registry(route), route)
        self._writes.passed(request, route, request.query, response.status)
        return response


def _registry(route: Route) -> str:
    match route:
        case Ping(registry) | CatalogRoute(registry):
            return registry
        case BlobRoute(blob):
            return blob.repository.registry
        case _:
            return route.repository.registry
