"""What the error family means to clients of any make."""

from __future__ import annotations

import json

import pytest

from eagle_node.base.errors import (
    BadDigest,
    Denied,
    EagleError,
    NoSpace,
    Silent,
    StartError,
    Unavailable,
    WrongContent,
)
from eagle_node.metainfo.errors import RpcStatus, decode_error, encode_error
from eagle_node.metainfo.messages import decode_fetch_reply
from tests.unit.metainfo.examples import REQUEST


class _BadNameError(EagleError):
    """A refusal that another room defines, with the registry's answer to it."""

    status = 400
    code = "NAME_INVALID"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Denied("who?", status=401, code="UNAUTHORIZED"), "UNAUTHENTICATED"),
        (Denied("no", status=403, code="DENIED"), "PERMISSION_DENIED"),
        (Denied("none", status=404, code="BLOB_UNKNOWN"), "NOT_FOUND"),
        (Denied("beyond", status=416, code="RANGE_INVALID"), "OUT_OF_RANGE"),
        (Denied("slowly", status=429, code="TOOMANYREQUESTS"), "RESOURCE_EXHAUSTED"),
        (Denied("later", status=503, code="UNAVAILABLE"), "UNAVAILABLE"),
        (Denied("odd", status=451, code="DENIED"), "FAILED_PRECONDITION"),
        (BadDigest("md5:"), "INVALID_ARGUMENT"),
        (_BadNameError("A/B"), "INVALID_ARGUMENT"),
        (WrongContent("other bytes"), "DATA_LOSS"),
        (NoSpace("full"), "RESOURCE_EXHAUSTED"),
        (Unavailable("down"), "UNAVAILABLE"),
        (Silent("nothing came"), "UNAVAILABLE"),
        (StartError("?"), "UNKNOWN"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_each_error_has_a_status(error: EagleError, status: str) -> None:
    """Clients that do not read our trailer learn what happened from the status."""
    assert encode_error(error).status == status


@pytest.mark.parametrize(
    ("status", "http"),
    [("UNAUTHENTICATED", 401), ("PERMISSION_DENIED", 403), ("NOT_FOUND", 404)],
)
def test_a_bare_refusal_is_a_denial(status: str, http: int) -> None:
    """A seeder of another make refuses by status alone."""
    error = decode_error(RpcStatus(status=status, message="no", trailer=b""))
    assert isinstance(error, Denied)
    assert error.status == http


@pytest.mark.parametrize("status", ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "INTERNAL", "UNKNOWN"])
def test_a_bare_fault_means_that_another_may_deliver(status: str) -> None:
    """Faults without our trailer are `Unavailable`, so the next seeder is asked."""
    error = decode_error(RpcStatus(status=status, message="", trailer=b""))
    assert type(error) is Unavailable


def test_a_name_that_is_none_arrives_as_a_denial() -> None:
    """A refusal of another room keeps its status and code on the way."""
    error = decode_error(encode_error(_BadNameError("A/B is no name")))
    assert isinstance(error, Denied)
    assert (error.status, error.code, str(error)) == (400, "NAME_INVALID", "A/B is no name")


def test_a_denial_with_an_impossible_status_is_not_believed() -> None:
    """Only error statuses of HTTP pass; what follows from the status of the call stands then."""
    trailer = json.dumps({"kind": "denied", "status": 200, "code": "OK"}).encode()
    error = decode_error(RpcStatus(status="UNAVAILABLE", message="?", trailer=trailer))
    assert type(error) is Unavailable


def test_a_long_challenge_is_left_out_rather_than_cut() -> None:
    """Errors fit into gRPC's metadata whatever the origin sent."""
    sent = Denied("x" * 10_000, status=401, code="UNAUTHORIZED", challenge="c" * 10_000)
    encoded = encode_error(sent)
    assert len(encoded.message) + len(encoded.trailer) < 8_000
    error = decode_error(encoded)
    assert isinstance(error, Denied)
    assert error.challenge is None


def test_text_that_is_no_unicode_can_be_sent() -> None:
    """File names with undecodable bytes, for one, end up in messages."""
    assert encode_error(Unavailable("bad \udcff name")).message == "bad ? name"


def test_credentials_do_not_show() -> None:
    """The Authorization header is not part of a request's text, so no log can hold it."""
    assert "secret" in REQUEST.authorization
    assert "secret" not in repr(REQUEST)


def test_an_event_of_a_newer_release_is_ignored() -> None:
    """Field 15, which this release does not know, decodes to no event instead of an error."""
    assert decode_fetch_reply(bytes([15 << 3, 1])) is None
