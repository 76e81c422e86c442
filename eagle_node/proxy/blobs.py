"""Blobs for clients."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from aiohttp import hdrs, web

from eagle_node.base.errors import Denied, NoSpace, Unavailable
from eagle_node.base.ranges import (
    MOST_RANGES,
    ByteRange,
    TooManyRanges,
    Unsatisfiable,
    resolve_ranges,
)
from eagle_node.blobs.reader import BlobReader
from eagle_node.metrics.instruments import Metrics
from eagle_node.proxy.conditional import head_response, none_match_fails
from eagle_node.proxy.multipart import Body, content_range, multipart_body, plain_body
from eagle_node.proxy.send import send_blob
from eagle_node.proxy.send_passed import Passed, send_passed
from eagle_node.registry.access import Access
from eagle_node.registry.errors import oci_error
from eagle_node.registry.names import BlobRef
from eagle_node.runtime.tracing import note

log = logging.getLogger(__name__)

PassOn = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class BlobOpener(Protocol):
    """Where blobs come from."""

    async def open(self, blob: BlobRef, authorization: str | None, *, whole: bool) -> BlobReader:
        """A reader for a client whom the origin would serve; `Denied` or `Unavailable`."""

    async def beside(self, blob: BlobRef, authorization: str | None) -> Passed | None:
        """A way past the cache, where that has no room; None when only the origin is left."""

    async def size(self, blob: BlobRef, authorization: str | None) -> int | None:
        """The blob's size for such a client, without moving it; None when nobody tells."""


class BlobHandler:
    """GET and HEAD of blobs."""

    def __init__(self, opener: BlobOpener, access: Access, metrics: Metrics) -> None:
        self._opener = opener
        self._access = access
        self._metrics = metrics

    async def head(self, request: web.BaseRequest, blob: BlobRef) -> web.StreamResponse:
        """Size and digest; moves no bytes of the blob."""
        note(blob.attributes)
        size = await self._opener.size(blob, request.headers.get(hdrs.AUTHORIZATION))
        return head_response(_headers(blob), size)

    def written(self, blob: BlobRef, request: web.BaseRequest) -> None:
        """The client has put or deleted the blob."""
        self._access.forget(blob, request.headers.get(hdrs.AUTHORIZATION))

    async def get(
        self, request: web.BaseRequest, blob: BlobRef, pass_on: PassOn
    ) -> web.StreamResponse:
        """The bytes asked for; passed on unstored when there is no room."""
        started = time.monotonic()
        note(blob.attributes)
        headers = _headers(blob)
        if none_match_fails(request, headers[hdrs.ETAG]):
            await self._access.check(blob, request.headers.get(hdrs.AUTHORIZATION))
            return web.Response(status=304, headers=headers)
        range_header = request.headers.get(hdrs.RANGE)
        if request.headers.get(hdrs.IF_RANGE, headers[hdrs.ETAG]) != headers[hdrs.ETAG]:
            range_header = None
        try:
            reader = await self._opener.open(
                blob, request.headers.get(hdrs.AUTHORIZATION), whole=_wants_whole(range_header)
            )
        except NoSpace as error:
            log.warning("%s; passing it on, unstored", error)
            self._metrics.fallbacks.labels("unstored").inc()
            passed = await self._beside(request, blob, range_header, headers)
            return passed or await pass_on(request)
        try:
            wanted = resolve_ranges(range_header, reader.size)
            response, body = _response(wanted, reader.size, headers)
            self._metrics.first_byte_seconds.observe(time.monotonic() - started)
            return await send_blob(request, response, reader, body, self._metrics)
        except Unsatisfiable:
            return _unsatisfiable(blob, reader.size)
        except TooManyRanges:
            raise Denied(
                f"more than {MOST_RANGES} ranges of {blob} in one request; ask for fewer at a time",
                status=400,
                code="SIZE_INVALID",
            ) from None
        finally:
            reader.close()

    async def _beside(
        self,
        request: web.BaseRequest,
        blob: BlobRef,
        range_header: str | None,
        headers: dict[str, str],
    ) -> web.StreamResponse | None:
        """The answer by way of other nodes; None when they cannot give it."""
        try:
            passed = await self._opener.beside(blob, request.headers.get(hdrs.AUTHORIZATION))
            if passed is None:
                return None
            wanted = resolve_ranges(range_header, passed.size)
            if wanted is not None and len(wanted) > 1:
                return None
            response, body = _response(wanted, passed.size, headers)
            run = body.parts[0].content
            return await send_passed(request, response, blob.digest, passed, run, self._metrics)
        except (Unavailable, Unsatisfiable, TooManyRanges) as error:
            log.info("%s cannot be had from other nodes: %s", blob, error)
            return None


def _headers(blob: BlobRef) -> dict[str, str]:
    return {
        hdrs.CONTENT_TYPE: "application/octet-stream",
        hdrs.ETAG: f'"{blob.digest}"',
        hdrs.ACCEPT_RANGES: "bytes",
        "Docker-Content-Digest": blob.digest,
        "Docker-Distribution-Api-Version": "registry/2.0",
    }


def _unsatisfiable(blob: BlobRef, size: int) -> web.Response:
    refusal = Denied(
        f"{blob} has {size} bytes, none in this range", status=416, code="SIZE_INVALID"
    )
    status, headers, body = oci_error(refusal)
    headers |= {hdrs.CONTENT_RANGE: f"bytes */{size}", hdrs.ACCEPT_RANGES: "bytes"}
    return web.Response(status=status, headers=headers, body=body)


def _response(
    wanted: Sequence[ByteRange] | None, size: int, headers: dict[str, str]
) -> tuple[web.StreamResponse, Body]:
    if wanted is None:
        return web.StreamResponse(status=200, headers=headers), plain_body(ByteRange(0, size))
    if len(wanted) == 1:
        told = {hdrs.CONTENT_RANGE: content_range(wanted[0], size)}
        return web.StreamResponse(status=206, headers=headers | told), plain_body(wanted[0])
    media_type, body = multipart_body(wanted, size, headers[hdrs.CONTENT_TYPE])
    told = {hdrs.CONTENT_TYPE: media_type}
    return web.StreamResponse(status=206, headers=headers | told), body


def _wants_whole(range_header: str | None) -> bool:
    """Whether all of the blob will be read: no range, or ``bytes=0-`` as containerd 2.1 sends."""
    return range_header is None or range_header.replace(" ", "").lower() == "bytes=0-"
