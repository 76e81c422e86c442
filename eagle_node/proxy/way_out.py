"""What a client is told that would have to show credentials, but shows a mirror none.

Clients that name the registry in the path (podman, skopeo, buildah) ask ``GET /v2/`` before they
have told which registry is meant, and from its answer alone they learn what to show. A mirror that
asked for credentials there would be shown the same ones for every registry behind it, and would
pass one registry's password on to another. So it asks for none, and says what to do instead.
"""

from __future__ import annotations

from aiohttp import hdrs, web

from eagle_node.base.errors import Denied
from eagle_node.registry.route import Route

_READS = (hdrs.METH_GET, hdrs.METH_HEAD)


def cannot_answer(request: web.BaseRequest, route: Route) -> bool:
    """Whether a 401 is lost on the client: it shows nothing, and the registry is in the path."""
    shows = hdrs.AUTHORIZATION in request.headers
    return not shows and "ns" not in request.query and len(request.path) > len(route.path)


def with_way_out(refusal: Denied, request: web.BaseRequest, route: Route, registry: str) -> Denied:
    """``refusal``, or a better one for clients that cannot answer it.

    The reason stands in the challenge as well (RFC 6750 section 3): a HEAD has no other place for
    it, and with a HEAD pushes begin.
    """
    if refusal.status != 401 or not cannot_answer(request, route):
        return refusal
    itself = f"use {registry} itself, with this node as HTTPS_PROXY"
    if request.method in _READS:
        itself += ", or give the node credentials to pull with (--docker-config)"
    told = f"{registry} wants credentials, and clients show a mirror none: {itself}"
    return Denied(
        f"{refusal}; {told}",
        status=401,
        code="UNAUTHORIZED",
        challenge=f'Bearer error="invalid_token", error_description="{told}"',
    )
