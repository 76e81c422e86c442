"""Content digests (OCI image-spec, descriptor.md#digests).

Only sha256 names blobs that are cached and swarmed; what has a digest of another registered
algorithm (sha512) is passed on.
"""

from __future__ import annotations

import hashlib
import re
from typing import NewType

from eagle_node.base.errors import BadDigest

Digest = NewType("Digest", str)
"""``sha256:`` and 64 lower-case hex digits."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_GRAMMAR = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+\Z")


def parse_digest(text: str) -> Digest:
    """The digest that ``text`` spells; `BadDigest` says what is wrong with it otherwise."""
    if _DIGEST.match(text):
        return Digest(text)
    if is_of_other_algorithm(text):
        raise BadDigest(f"digest algorithm of {text[:80]!r} is not supported here (only sha256 is)")
    raise BadDigest(f"{text[:80]!r} is not a digest: expected sha256: and 64 lower-case hex digits")


def looks_like_digest(text: str) -> bool:
    """Whether ``text`` is meant as a digest (any algorithm), not as a tag: tags hold no colon."""
    return ":" in text


def is_of_other_algorithm(text: str) -> bool:
    """Whether ``text`` is a digest that `parse_digest` refuses for its algorithm alone."""
    return bool(_GRAMMAR.match(text)) and not text.startswith("sha256:")


def digest_hex(digest: Digest) -> str:
    """The 64 hex digits."""
    return digest[7:]


def digest_of(data: bytes) -> Digest:
    """The digest of ``data``."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())
