"""Errors on the wire."""

from __future__ import annotations

import json

import pytest

from eagle_node.base.errors import (
    BadDigest,
    Denied,
    EagleError,
    NoSpace,
    Unavailable,
    UsageError,
    WrongContent,
)
from eagle_node.registry.errors import oci_error
from eagle_node.registry.names import BadName


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (BadName("x"), 400, "NAME_INVALID"),
        (BadName("x", code="MANIFEST_UNKNOWN", status=404), 404, "MANIFEST_UNKNOWN"),
        (BadDigest("x"), 400, "DIGEST_INVALID"),
        (Unavailable("x"), 502, "UNAVAILABLE"),
        (NoSpace("x"), 502, "UNAVAILABLE"),
        (WrongContent("x"), 502, "DIGEST_INVALID"),
        (Denied("x", status=403, code="DENIED"), 403, "DENIED"),
        (UsageError("x"), 500, "UNKNOWN"),
    ],
)
def test_each_error_has_its_status_and_code(error: EagleError, status: int, code: str) -> None:
    """Our faults are 502, so that the runtime tries its next mirror; the message is the reason."""
    answered, headers, body = oci_error(error)
    assert answered == status
    assert json.loads(body) == {"errors": [{"code": code, "message": "x", "detail": None}]}
    assert headers["Content-Type"] == "application/json"


def test_a_refusal_carries_what_the_client_needs_to_do_better() -> None:
    """The origin's challenge and its retry time reach the client."""
    _, headers, _ = oci_error(
        Denied("x", status=401, code="UNAUTHORIZED", challenge='Basic realm="r"', retry_after="7")
    )
    assert headers["WWW-Authenticate"] == 'Basic realm="r"'
    assert headers["Retry-After"] == "7"
