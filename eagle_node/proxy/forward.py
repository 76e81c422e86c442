"""The forward proxy: requests that name the server they are for, in plain HTTP or opened HTTPS."""

from __future__ import annotations

from aiohttp import hdrs, web
from yarl import URL

from eagle_node.base.errors import Unavailable
from eagle_node.proxy.blobs import BlobHandler, PassOn
from eagle_node.proxy.intercept import Opened
from eagle_node.proxy.manifests import ManifestHandler
from eagle_node.proxy.passing import Passing
from eagle_node.proxy.rules import Rules
from eagle_node.proxy.writes import Writes
from eagle_node.registry.names import BadName
from eagle_node.registry.route import BlobRoute, ManifestRoute


class Forward:
    """What reads blobs and manifests of registries is answered as the mirror would; the rest is
    passed on, with the client's own credentials."""

    def __init__(
        self,
        blobs: BlobHandler,
        manifests: ManifestHandler,
        passing: Passing,
        rules: Rules,
        writes: Writes,
    ) -> None:
        self._blobs = blobs
        self._manifests = manifests
        self._passing = passing
        self._rules = rules
        self._writes = writes

    async def plain(self, request: web.BaseRequest) -> web.StreamResponse:
        """A request in absolute form (RFC 9112 section 3.2.2)."""
        url = _absolute(request.raw_path)
        registry = self._rules.registry_at(url)
        return await self._answer(
            request, registry, url, lambda each: self._passing.absolute(each, url)
        )

    async def opened(self, request: web.BaseRequest, opened: Opened) -> web.StreamResponse:
        """A request on an opened connection, which must be for the server that it leads to."""
        _check_host(request, opened)
        url = _parsed(f"{opened.origin}{request.raw_path}")
        return await self._answer(
            request, opened.registry, url, lambda each: self._passing.opened(each, opened, url)
        )

    async def _answer(
        self, request: web.BaseRequest, registry: str | None, url: URL, pass_on: PassOn
    ) -> web.StreamResponse:
        """Answer a request for ``url``, which ``registry`` serves; None: no registry's."""
        if registry is None:
            return await pass_on(request)
        match self._rules.route_at(registry, request.method, url):
            case BlobRoute(blob) if request.method == hdrs.METH_HEAD:
                try:
                    # A no must not be remembered: who pushes asks, then uploads, then may pull.
                    return await pass_on(request)
                except Unavailable:
                    return await self._blobs.head(request, blob)
            case BlobRoute(blob):
                return await self._blobs.get(request, blob, pass_on)
            case ManifestRoute() as manifest:
                return await self._manifests.handle(request, manifest)
        response = await pass_on(request)
        for route in self._rules.writes_at(registry, request.method, url):
            self._writes.passed(request, route, url.query, response.status)
        return response


def _absolute(target: str) -> URL:
    url = _parsed(target)
    if url.scheme != "http" or not url.host or not url.port:
        raise _no_target(target)
    return url


def _parsed(target: str) -> URL:
    try:
        return URL(target, encoded=True)
    except ValueError:
        raise _no_target(target) from None


def _no_target(target: str) -> BadName:
    return BadName(f"{target[:200]!r} is not a request target that this proxy serves")


def _check_host(request: web.BaseRequest, opened: Opened) -> None:
    """`BadName` unless target and ``Host`` agree with the ``CONNECT`` (RFC 9110 section 15.5.20).

    Only requests of HTTP/1.0 may have no ``Host``.
    """
    if not request.raw_path.startswith("/"):
        raise BadName(f"{request.raw_path[:200]!r} is no path at {opened.target}")
    named = request.headers.getall(hdrs.HOST, [])
    if len(named) > 1 or not (named or request.version < (1, 1)):
        raise BadName(f"a request to {opened.target} must have one Host field")
    if named and not opened.is_host(named[0]):
        raise BadName(
            f"this connection was made to {opened.target}, not to {named[0][:200]}; make another",
            status=421,
        )
