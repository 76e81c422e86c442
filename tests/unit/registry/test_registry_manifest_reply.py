"""Manifests are verified wherever a digest is known."""

from __future__ import annotations

import pytest

from eagle_node.base.digest import Digest, digest_of
from eagle_node.base.errors import Unavailable, WrongContent
from eagle_node.registry.manifest_reply import (
    MAX_MANIFEST,
    ManifestReply,
    check_size,
    manifest_reply,
)

BODY = b"{}"
DIGEST = digest_of(BODY)
OTHER = digest_of(b"other")


def made(body: bytes | None, reference: str, told: str | None = None) -> ManifestReply:
    """The reply of a registry that tells ``told`` as the digest."""
    headers = {"Content-Type": "application/vnd.oci.image.index.v1+json; charset=utf-8"}
    if told is not None:
        headers["Docker-Content-Digest"] = told
    return manifest_reply(200, headers, body, reference=reference, size=9, source="it")


def test_a_body_has_its_own_digest_and_size() -> None:
    """Whatever the headers lack."""
    reply = made(BODY, "v1")
    assert (reply.digest, reply.size, reply.body) == (DIGEST, 2, BODY)
    assert reply.media_type == "application/vnd.oci.image.index.v1+json"


@pytest.mark.parametrize(
    ("body", "reference", "told"),
    [(BODY, OTHER, None), (BODY, OTHER, OTHER), (BODY, "v1", OTHER), (None, DIGEST, OTHER)],
)
def test_a_digest_that_does_not_fit_is_wrong_content(
    body: bytes | None, reference: str, told: Digest | None
) -> None:
    """By reference or by header, by GET or by HEAD."""
    with pytest.raises(WrongContent):
        made(body, reference, told)


def test_a_head_tells_what_its_headers_tell() -> None:
    """The digest asked for stands in for one that is missing or of an unknown algorithm."""
    assert made(None, "v1").digest is None
    assert made(None, "v1", DIGEST).digest == DIGEST
    assert made(None, DIGEST, "sha512:00").digest == DIGEST
    assert made(None, "v1").size == 9


def test_a_manifest_beyond_any_clients_limit_is_not_read() -> None:
    """4 MiB, and the message says so."""
    assert check_size({"Content-Length": str(MAX_MANIFEST)}, source="it", subject="a") == 4 << 20
    with pytest.raises(Unavailable, match="at most 4194304"):
        check_size({"Content-Length": str(MAX_MANIFEST + 1)}, source="it", subject="a")
