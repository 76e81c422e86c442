"""The proxy's listener: one handler for every request, whatever form it comes in."""

from __future__ import annotations

import logging
import secrets
import socket
from typing import Self

from aiohttp import hdrs, web
from yarl import URL

from eagle_node.base.errors import EagleError
from eagle_node.config.tree import ProxyConfig
from eagle_node.metrics.instruments import Metrics
from eagle_node.proxy.blobs import BlobHandler
from eagle_node.proxy.manifests import ManifestHandler
from eagle_node.proxy.passing import Passing
from eagle_node.proxy.rules import Rules
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
from eagle_node.runtime.context import request_id

log = logging.getLogger(__name__)

_READS = (hdrs.METH_GET, hdrs.METH_HEAD)


class Proxy:
    """Mirror and plain-HTTP forward proxy; an async context manager that listens."""

    def __init__(
        self,
        config: ProxyConfig,
        listener: socket.socket,
        *,
        blobs: BlobHandler,
        manifests: ManifestHandler,
        passing: Passing,
        rules: Rules,
        metrics: Metrics,
    ) -> None:
        self._config = config
        self._listener = listener
        self._blobs = blobs
        self._manifests = manifests
        self._passing = passing
        self._rules = rules
        self._metrics = metrics
        self._runner: web.ServerRunner | None = None

    async def __aenter__(self) -> Self:
        server = web.Server(self._handle, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=3.0)
        await self._runner.setup()
        await web.SockSite(self._runner, self._listener).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        request_id.set(request.headers.get("X-Request-Id", "")[:64] or secrets.token_hex(8))
        kind, status = "other", 500
        try:
            if request.method == hdrs.METH_CONNECT:
                raise BadName(
                    "this proxy does not open HTTPS tunnels; point the runtime at it as a mirror",
                    code="UNSUPPORTED",
                    status=501,
                )
            if not request.raw_path.startswith("/"):
                kind = "forward"
                response = await self._forward(request, _absolute(request.raw_path))
            else:
                route = parse_route(
                    request.method,
                    request.raw_path.partition("?")[0],
                    request.query,
                    default_registry=self._config.default_registry,
                )
                kind = type(route).__name__.removesuffix("Route").lower()
                response = await self._mirror(request, route)
            status = response.status
            return response
        except EagleError as error:
            status, headers, body = oci_error(error)
            log.info("%s %s: %d %s", request.method, request.path, status, error)
            if request.method == hdrs.METH_HEAD:
                return web.Response(status=status, headers=headers)
            return web.Response(status=status, headers=headers, body=body)
        except (ConnectionError, TimeoutError) as error:
            log.debug("%s %s: the client went away: %s", request.method, request.path, error)
            raise
        finally:
            self._metrics.requests.labels(kind, str(status)).inc()

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
        return await self._passing.mirror(request, _registry(route), route)

    async def _forward(self, request: web.BaseRequest, url: URL) -> web.StreamResponse:
        """A request in absolute form: through the swarm where a rule says so, else passed on."""
        blob = self._rules.blob_of(request.method, url)
        if blob is None:
            return await self._passing.absolute(request, url)
        return await self._blobs.get(request, blob, lambda each: self._passing.absolute(each, url))


def _registry(route: Route) -> str:
    match route:
        case Ping(registry) | CatalogRoute(registry):
            return registry
        case BlobRoute(blob):
            return blob.repository.registry
        case _:
            return route.repository.registry


def _absolute(target: str) -> URL:
    """The URL of an absolute-form request target (RFC 9112 section 3.2.2)."""
    try:
        url = URL(target, encoded=True)
        if url.scheme == "http" and url.host and url.port:
            return url
    except ValueError:
        pass
    raise BadName(f"{target[:200]!r} is not a request target that this proxy serves")
