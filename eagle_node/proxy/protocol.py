"""aiohttp's HTTP, with OCI errors for requests that it cannot read."""

from __future__ import annotations

import logging

from aiohttp import web

from eagle_node.base.errors import EagleError
from eagle_node.registry.errors import oci_error
from eagle_node.registry.names import BadName
from eagle_node.runtime.context import REQUEST_ID_HEADER, accepted_id

log = logging.getLogger(__name__)

_SHOWN = 200
"""Characters of what is said about a request that cannot be read: much of it is the request."""


class HttpServer(web.Server):
    """Makes the protocol of each connection."""

    def __call__(self) -> web.RequestHandler:
        """The protocol of a new connection."""
        return _Protocol(self, loop=self._loop, **self._kwargs)


class _Protocol(web.RequestHandler):
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The last answer on this connection: to garbage, or after a fault of ours."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already") from exc
        identifier = accepted_id("")
        error: EagleError
        if status < 500:
            said = " ".join((message or "").split())[:_SHOWN]
            error = BadName(
                f"this is no HTTP request that can be read: {said}",
                code="UNSUPPORTED",
                status=status,
            )
            log.info("a request of %s: %d %s", request.remote, status, error)
        else:
            error = EagleError("a fault of this node; its log tells more")
            log.error("a request of %s failed (%s)", request.remote, identifier, exc_info=exc)
        status, headers, body = oci_error(error)
        headers[REQUEST_ID_HEADER] = identifier
        response = web.Response(status=status, headers=headers, body=body)
        response.force_close()
        return response
