"""Names for requests: the caller's ``X-Request-Id`` or a made one, in answers and log lines."""

from __future__ import annotations

from aiohttp import web

from eagle_node.api.problems import Handler
from eagle_node.runtime.context import REQUEST_ID_HEADER, accepted_id, request_id

_NAME = web.RequestKey("eagle_node.request_id", str)


def name_requests(app: web.Application) -> None:
    """Have every answer of ``app`` bear its request's name, event streams and errors included.

    Log lines and problem documents, and what a request sets going, find it in `request_id`.
    """
    app.middlewares.insert(0, _named)
    app.on_response_prepare.append(_tell)


@web.middleware
async def _named(request: web.Request, handler: Handler) -> web.StreamResponse:
    name = accepted_id(request.headers.get(REQUEST_ID_HEADER, ""))
    request[_NAME] = name
    request_id.set(name)
    return await handler(request)


async def _tell(request: web.Request, response: web.StreamResponse) -> None:
    if _NAME in request:
        response.headers[REQUEST_ID_HEADER] = request[_NAME]
