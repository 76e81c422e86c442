"""Rules of digests."""

from __future__ import annotations

import hashlib

import pytest

from eagle_node.base.digest import digest_hex, digest_of, looks_like_digest, parse_digest
from eagle_node.base.errors import BadDigest

HEX = hashlib.sha256(b"content").hexdigest()


def test_a_digest_is_the_algorithm_and_the_hash_of_the_content() -> None:
    """``digest_of`` is what ``sha256sum`` prints, with the algorithm before it."""
    assert digest_of(b"content") == f"sha256:{HEX}"
    assert parse_digest(f"sha256:{HEX}") == digest_of(b"content")
    assert digest_hex(digest_of(b"content")) == HEX


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256:",
        HEX,
        f"sha256:{HEX[:-1]}",
        f"sha256:{HEX}0",
        f"sha256:{HEX.upper()}",
        f"SHA256:{HEX}",
        f"sha256:{HEX}\n",
        f" sha256:{HEX}",
        f"sha256:{HEX[:-1]}g",
        f"sha256:{HEX[:-1]}\u0663",
        f"sha256:../{HEX[3:]}",
    ],
)
def test_anything_else_is_no_digest(text: str) -> None:
    """Nothing that could become another file name, or another key, gets through."""
    with pytest.raises(BadDigest, match="is not a digest"):
        parse_digest(text)


def test_another_algorithm_is_named_as_such() -> None:
    """A well-formed digest of another algorithm is refused for what it is."""
    with pytest.raises(BadDigest, match="not supported"):
        parse_digest("sha512:" + "0" * 128)


def test_a_long_string_is_not_repeated_whole() -> None:
    """Error texts stay short whatever a client sends."""
    with pytest.raises(BadDigest) as caught:
        parse_digest("x" * 100_000)
    assert len(str(caught.value)) < 200


def test_only_digests_hold_a_colon() -> None:
    """The colon tells digests from tags."""
    assert looks_like_digest("sha512:abc")
    assert not looks_like_digest("v1.2-rc_3")
