"""Errors as problem documents (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from aiohttp import web

from eagle_node.api.codec import BadDocument, to_json
from eagle_node.api.schema import Problem
from eagle_node.base.errors import BadDigest, Denied, EagleError, UsageError
from eagle_node.runtime.context import request_id

CONTENT_TYPE = "application/problem+json"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Refusal(EagleError):
    """What a client asks for cannot be done; ``status`` is the HTTP status to answer with."""

    def __init__(
        self, message: str, *, status: int, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


def problem_response(
    request: web.Request,
    status: int,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    extensions: Mapping[str, object] | None = None,
) -> web.Response:
    """The answer to ``request`` that tells ``detail``; ``extensions`` are further members (3.2)."""
    problem = Problem(
        type="about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=request.path,
        request_id=request_id.get(),
    )
    text = json.dumps({**to_json(problem), **(extensions or {})})
    return web.Response(text=text, status=status, content_type=CONTENT_TYPE, headers=headers)


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn refusals of the router, and errors of ours, into problem documents."""
    try:
        return await handler(request)
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        detail = f"{request.path} does not take {request.method}, only {allowed}"
        return problem_response(request, error.status, detail, headers={"Allow": allowed})
    except web.HTTPNotFound as error:
        return problem_response(request, error.status, f"there is no {request.path} here")
    except web.HTTPRequestEntityTooLarge as error:
        return problem_response(request, error.status, "the body is too large")
    except EagleError as error:
        headers = error.headers if isinstance(error, Refusal) else None
        return problem_response(request, _status_of(error), str(error), headers=headers)


def _status_of(error: EagleError) -> int:
    match error:
        case Refusal():
            return error.status
        case UsageError() | BadDocument() | BadDigest():
            return 400
        case Denied() if error.status in (401, 403):
            # Not of this API's caller: a registry refuses the node.
            return 403
        case Denied():
            return error.status
    return 503
