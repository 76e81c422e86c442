"""Errors as a registry's client reads them (OCI distribution-spec, "Error codes")."""

from __future__ import annotations

import json

from eagle_node.base.errors import BadDigest, Denied, EagleError, Unavailable, WrongContent
from eagle_node.registry.names import BadName


def oci_error(error: EagleError) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and JSON body that tell a client about ``error``.

    Faults of this node or of the way to the origin are 502, which makes every runtime turn to its
    next mirror at once; 408 and 429 would make containerd ask the same one again, so the latter is
    only ever the origin's own.
    """
    status, code = _meaning(error)
    headers = {
        "Content-Type": "application/json",
        "Docker-Distribution-Api-Version": "registry/2.0",
    }
    if isinstance(error, Denied):
        if error.challenge:
            headers["WWW-Authenticate"] = error.challenge
        if error.retry_after:
            headers["Retry-After"] = error.retry_after
    body = {"errors": [{"code": code, "message": str(error), "detail": None}]}
    return status, headers, json.dumps(body).encode()


def _meaning(error: EagleError) -> tuple[int, str]:
    match error:
        case Denied() | BadName():
            return error.status, error.code
        case BadDigest():
            return 400, "DIGEST_INVALID"
        case WrongContent():
            return 502, "DIGEST_INVALID"
        case Unavailable():
            return 502, "UNAVAILABLE"
    return 500, "UNKNOWN"
