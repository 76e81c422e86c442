"""Passes requests on as they are: tags, referrers, uploads, and all that is not ours to know."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

from aiohttp import hdrs, web
from multidict import CIMultiDict
from yarl import URL

from eagle_node.base.errors import Denied, Unavailable
from eagle_node.metrics.instruments import Metrics
from eagle_node.proxy.intercept import Opened
from eagle_node.proxy.way_out import cannot_answer
from eagle_node.registry.forward_reply import ForwardReply
from eagle_node.registry.headers import moved
from eagle_node.registry.route import Ping, Route
from eagle_node.registry.upstream import Upstream

Reply = AbstractAsyncContextManager[ForwardReply]
Turn = Callable[[CIMultiDict[str]], CIMultiDict[str]]


class Passing:
    """Requests out, answers back, streamed both ways."""

    def __init__(self, upstream: Upstream, metrics: Metrics) -> None:
        self._upstream = upstream
        self._metrics = metrics

    async def mirror(
        self, request: web.BaseRequest, registry: str, route: Route
    ) -> web.StreamResponse:
        """Pass a mirror's request on to the registry that it is for."""
        if isinstance(route, Ping):
            return web.json_response(
                {}, headers={"Docker-Distribution-Api-Version": "registry/2.0"}
            )
        query = request.rel_url.raw_query_string
        return await self._relay(
            request,
            self._upstream.forward(
                request.method,
                registry,
                f"{route.path}?{query}" if query else route.path,
                request.headers,
                _body(request),
                request.headers.get(hdrs.AUTHORIZATION),
            ),
            raise_401=cannot_answer(request, route),
        )

    async def absolute(self, request: web.BaseRequest, url: URL) -> web.StreamResponse:
        """Pass a forward proxy's request on to whom it is for."""
        return await self._relay(
            request,
            self._upstream.forward_url(request.method, url, request.headers, _body(request)),
        )

    async def opened(
        self, request: web.BaseRequest, opened: Opened, url: URL
    ) -> web.StreamResponse:
        """Pass a request on an opened connection on to the server that it is for.

        ``url`` is the client's; the server is asked at its own.
        """
        prefix = str(opened.base.origin()) + opened.base.raw_path.rstrip("/")
        there = URL(prefix + url.raw_path_qs, encoded=True)
        reply = self._upstream.forward_url(request.method, there, request.headers, _body(request))
        return await self._relay(
            request, reply, lambda each: moved(each, base=opened.base, to=opened.origin)
        )

    async def _relay(
        self,
        request: web.BaseRequest,
        reply: Reply,
        turned: Turn = lambda headers: headers,
        *,
        raise_401: bool = False,
    ) -> web.StreamResponse:
        await _invite(request)
        async with reply as answer:
            if answer.status == 401 and raise_401:
                challenge = answer.headers.get(hdrs.WWW_AUTHENTICATE)
                raise Denied(
                    "the registry answered 401",
                    status=401,
                    code="UNAUTHORIZED",
                    challenge=challenge,
                )
            response = web.StreamResponse(status=answer.status, headers=turned(answer.headers))
            if hdrs.CONTENT_LENGTH not in answer.headers and _has_body(request, answer.status):
                response.enable_chunked_encoding()
            await response.prepare(request)
            if _has_body(request, answer.status):
                try:
                    async for chunk in answer.chunks():
                        await response.write(chunk)
                        self._metrics.served("origin", len(chunk))
                except Unavailable:
                    if request.transport is not None:
                        request.transport.close()
                    return response
            await response.write_eof()
            return response


async def _invite(request: web.BaseRequest) -> None:
    """Have a client that waits for it send its body (RFC 9110 section 10.1.1)."""
    if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue" and request.body_exists:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def _has_body(request: web.BaseRequest, status: int) -> bool:
    return request.method != hdrs.METH_HEAD and status >= 200 and status not in (204, 304)


def _body(request: web.BaseRequest) -> AsyncIterator[bytes] | None:
    return request.content.iter_any() if request.body_exists else None
