"""The error family as gRPC carries it: a status, a message and one binary trailer, and back.

The status is for any client; the trailer (`TRAILER`, a JSON object) lets ours raise the error that
the seeder raised, with all its fields.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from eagle_node.base.errors import (
    BadDigest,
    Denied,
    EagleError,
    NoSpace,
    Silent,
    Unavailable,
    WrongContent,
)

TRAILER = "eagle-error-bin"
"""Key of the trailer; gRPC carries keys that end in ``-bin`` as bytes."""

_MESSAGE_LIMIT = 1000
"""Characters of an error's text that are sent: gRPC bounds it together with the trailer."""
_FIELD_LIMIT = 4000
"""Characters of a challenge that are sent; a cut one would lie, so a longer one is left out."""

_DENIED_STATUS = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    416: "OUT_OF_RANGE",
    429: "RESOURCE_EXHAUSTED",
}
_PLAIN: dict[str, Callable[[str], EagleError]] = {
    "bad-digest": BadDigest,
    "no-space": NoSpace,
    "silent": Silent,
    "wrong-content": WrongContent,
    "unavailable": Unavailable,
}
_BARE: dict[str, Callable[[str], EagleError]] = {
    "UNAUTHENTICATED": lambda text: Denied(text, status=401, code="UNAUTHORIZED"),
    "PERMISSION_DENIED": lambda text: Denied(text, status=403, code="DENIED"),
    "NOT_FOUND": lambda text: Denied(text, status=404, code="BLOB_UNKNOWN"),
    "INVALID_ARGUMENT": lambda text: Denied(text, status=400, code="UNSUPPORTED"),
    "DATA_LOSS": WrongContent,
}
"""What statuses mean when the trailer is missing, as from a seeder of another make."""


@runtime_checkable
class _Refusal(Protocol):
    """An error that knows the registry's answer to it: an HTTP status and an OCI code."""

    status: int
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcStatus:
    """How a call failed."""

    status: str
    """Name of a gRPC status code."""
    message: str
    trailer: bytes
    """Value of `TRAILER`; empty: none."""


def encode_error(error: EagleError) -> RpcStatus:
    """``error`` for the wire."""
    status, fields = _described(error)
    return RpcStatus(
        status=status,
        message=str(error)[:_MESSAGE_LIMIT].encode(errors="replace").decode(),
        trailer=json.dumps(fields, separators=(",", ":")).encode(),
    )


def decode_error(failed: RpcStatus) -> EagleError:
    """The error that `encode_error` was given, or what the bare status means.

    Errors of other classes than `base.errors` come back as the nearest one in it: a refusal with a
    registry status as `Denied`, anything else as `Unavailable`.
    """
    fields = _fields(failed.trailer)
    match fields:
        case {"kind": "denied", "status": int(status), "code": str(code)} if 400 <= status <= 599:
            return Denied(
                failed.message,
                status=status,
                code=code,
                challenge=_text(fields.get("challenge")),
                retry_after=_text(fields.get("retry_after")),
            )
        case {"kind": str(kind)} if kind in _PLAIN:
            return _PLAIN[kind](failed.message)
    return _BARE.get(failed.status, Unavailable)(failed.message)


def _described(error: EagleError) -> tuple[str, dict[str, object]]:
    match error:
        case Denied():
            fields = _denied(error)
            return _status_of(error.status), fields | _short(
                challenge=error.challenge, retry_after=error.retry_after
            )
        case BadDigest():
            return "INVALID_ARGUMENT", {"kind": "bad-digest"}
        case NoSpace():
            return "RESOURCE_EXHAUSTED", {"kind": "no-space"}
        case WrongContent():
            return "DATA_LOSS", {"kind": "wrong-content"}
        case Silent():
            return "UNAVAILABLE", {"kind": "silent"}
        case Unavailable():
            return "UNAVAILABLE", {"kind": "unavailable"}
        case _Refusal():
            return "INVALID_ARGUMENT", _denied(error)
    return "UNKNOWN", {"kind": "unavailable"}


def _denied(error: _Refusal) -> dict[str, object]:
    return {"kind": "denied", "status": error.status, "code": error.code}


def _status_of(http: int) -> str:
    return _DENIED_STATUS.get(http, "UNAVAILABLE" if http >= 500 else "FAILED_PRECONDITION")


def _short(**fields: str | None) -> dict[str, str]:
    return {key: text for key, text in fields.items() if text and len(text) <= _FIELD_LIMIT}


def _fields(trailer: bytes) -> dict[str, object]:
    try:
        fields = json.loads(trailer or b"{}")
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
