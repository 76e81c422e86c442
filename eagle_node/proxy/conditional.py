"""What blobs and manifests answer alike: conditional requests, and HEAD."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import hdrs, web


def none_match_fails(request: web.BaseRequest, etag: str) -> bool:
    """Whether ``If-None-Match`` names ``etag``, so that the answer is a 304 (RFC 9110 13.1.2).

    A list of tags, ``*`` and the weak form of a tag match as well; our tags hold no comma.
    """
    named = ",".join(request.headers.getall(hdrs.IF_NONE_MATCH, ())).split(",")
    return any(each.strip().removeprefix("W/") in ("*", etag) for each in named)


def head_response(headers: Mapping[str, str], size: int | None) -> web.StreamResponse:
    """The answer to a HEAD; without ``Content-Length`` when the size is not known."""
    response = web.StreamResponse(headers=headers)
    response.content_length = size
    return response
