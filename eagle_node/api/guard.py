"""Who may use the control API.

With a token whoever shows it. Without one (on loopback only) every process of the host, but no web
page: a page's own name may be made to resolve to loopback (DNS rebinding), so the ``Host`` must be
a loopback name; a page elsewhere may send requests here blindly (CSRF), so an ``Origin`` must be
this API's own, and what changes something has a JSON body, which a page may not send unasked.
"""

from __future__ import annotations

import hmac

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from eagle_node.api.problems import Handler, Refusal
from eagle_node.api.routes import ROUTES
from eagle_node.runtime.sockets import is_loopback, parse_address

_OPEN = frozenset(route.path for route in ROUTES if route.open)
_SAFE = ("GET", "HEAD")
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="eagle-node"'}


def guard(token: str | None) -> Middleware:
    """Lets requests pass or refuses them; ``token`` None: none is asked for.

    For an application whose errors are problem documents.
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        _refuse_pages(request)
        if token is None:
            _refuse_names(request)
        elif request.path not in _OPEN and not _shows(request, token):
            raise Refusal(
                "this API needs its token: Authorization: Bearer TOKEN, with the one in the node's "
                "--api-token-file",
                status=401,
                headers=_CHALLENGE,
            )
        routed = request.match_info.http_exception is None
        if routed and request.method not in _SAFE and request.content_type != "application/json":
            raise Refusal("the body must be application/json", status=415)
        return await handler(request)

    return check


def _shows(request: web.Request, token: str) -> bool:
    scheme, _, shown = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    same = hmac.compare_digest(shown.strip().encode(errors="replace"), token.encode())
    return scheme.lower() == "bearer" and same


def _refuse_pages(request: web.Request) -> None:
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and origin.partition("://")[2] != request.headers.get(hdrs.HOST, ""):
        raise Refusal(f"pages of {origin[:100]!r} may not use this API", status=403)


def _refuse_names(request: web.Request) -> None:
    name = request.headers.get(hdrs.HOST, "")
    try:
        host = parse_address(name, default_port=80).host
    except ValueError:
        host = ""
    if not is_loopback(host):
        raise Refusal(
            f"this API is not called {name[:100]!r}: without a token it answers to localhost and "
            "loopback addresses only (--api-token-file)",
            status=403,
        )
