"""What an unsuccessful answer means."""

from __future__ import annotations

import json

import pytest

from eagle_node.base.errors import Denied, Unavailable
from eagle_node.registry.refusals import refusal


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "UNAUTHORIZED"),
        (403, "DENIED"),
        (404, "BLOB_UNKNOWN"),
        (416, "RANGE_INVALID"),
        (429, "TOOMANYREQUESTS"),
        (451, "UNSUPPORTED"),
    ],
)
def test_a_4xx_is_the_origins_no(status: int, code: str) -> None:
    """It goes to the client with its own status and the code that fits."""
    error = refusal(
        status,
        {"Retry-After": "9"},
        b"",
        source="registry a",
        subject="blob b",
        challenge="Basic",
        not_found="BLOB_UNKNOWN",
    )
    assert isinstance(error, Denied)
    assert (error.status, error.code) == (status, code)
    assert error.challenge == ("Basic" if status == 401 else None)
    assert error.retry_after == ("9" if status == 429 else None)
    assert str(error) == f"registry a answered {status} for blob b"


@pytest.mark.parametrize("status", [204, 300, 304, 408, 425, 500, 502, 503, 504])
def test_everything_else_is_a_fault(status: int) -> None:
    """Another source may do better; 408 in particular never reaches a client."""
    error = refusal(status, {}, b"", source="it", subject="that")
    assert isinstance(error, Unavailable)
    assert str(status) in str(error)


def test_the_origins_own_words_are_kept() -> None:
    """Code and message of its first error, without control characters."""
    body = json.dumps({"errors": [{"code": "NAME_UNKNOWN", "message": "no\nsuch repo"}]}).encode()
    error = refusal(404, {}, body, source="it", subject="that", not_found="BLOB_UNKNOWN")
    assert isinstance(error, Denied)
    assert error.code == "NAME_UNKNOWN"
    assert str(error) == "it answered 404 for that: no such repo"
