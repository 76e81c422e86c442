"""What an answer that is no success means: a refusal of the origin, or a fault on the way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from eagle_node.base.errors import Denied, EagleError, Unavailable

MAX_ERROR_BODY = 1 << 16
"""Bytes of an error answer that are read."""

_CODES = {
    401: "UNAUTHORIZED",
    403: "DENIED",
    404: "NAME_UNKNOWN",
    405: "UNSUPPORTED",
    416: "RANGE_INVALID",
    429: "TOOMANYREQUESTS",
}
_TRANSIENT = frozenset({407, 408, 421, 425})
"""4xx statuses that speak of this connection or moment, not of what was asked for."""


def refusal(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    source: str,
    subject: str,
    challenge: str | None = None,
    not_found: str = "NAME_UNKNOWN",
) -> EagleError:
    """The error that an answer of ``source``, asked for ``subject``, stands for.

    ``not_found`` is the OCI code of a 404 that gives none itself. 4xx are `Denied`, everything
    else, an unexpected success included, is `Unavailable`.
    """
    code, said = _first_error(body)
    reason = f": {said}" if said else ""
    message = f"{source} answered {status} for {subject}{reason}"
    if not 400 <= status < 500 or status in _TRANSIENT:
        return Unavailable(message)
    fallback = not_found if status == 404 else _CODES.get(status, "UNSUPPORTED")
    return Denied(
        message,
        status=status,
        code=code or fallback,
        challenge=challenge if status == 401 else None,
        retry_after=headers.get("Retry-After") if status == 429 else None,
    )


def _first_error(body: bytes) -> tuple[str, str]:
    """Code and message of the first OCI error in ``body``; empty where it has none."""
    try:
        tree: Any = json.loads(body)
        error = tree["errors"][0]
        code, message = error.get("code"), error.get("message")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return "", ""
    return _word(code, 64), _word(message, 300)


def _word(value: object, limit: int) -> str:
    text = value if isinstance(value, str) else ""
    return "".join(c if c.isprintable() else " " for c in text[:limit])
