"""A manifest as its registry sends it, verified where a digest is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from eagle_node.base.digest import Digest, digest_of, looks_like_digest, parse_digest
from eagle_node.base.errors import BadDigest, Unavailable, WrongContent
from eagle_node.registry.headers import parse_length

MAX_MANIFEST = 4 << 20
"""Bytes of a manifest (OCI distribution-spec: registries limit them to at least 4 MiB; so do
containerd and docker when they read)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestReply:
    """The answer to a GET or HEAD of a manifest."""

    status: int
    """200, or 304 if the manifest is still the one of ``if_none_match``."""
    digest: Digest | None
    """Of the manifest; None if a HEAD did not tell."""
    media_type: str
    """Without parameters; empty if it was not told."""
    size: int | None
    """Bytes; None if a HEAD did not tell."""
    body: bytes = field(default=b"", repr=False)
    """Empty for a HEAD and a 304."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The end-to-end headers as they came."""


def check_size(headers: Mapping[str, str], *, source: str, subject: str) -> int | None:
    """The size that the headers tell; `Unavailable` if it is more than any manifest has."""
    size = parse_length(headers.get("Content-Length"))
    if size is not None and size > MAX_MANIFEST:
        raise Unavailable(
            f"{source} sent {size} bytes for manifest {subject}; manifests have at most "
            f"{MAX_MANIFEST}"
        )
    return size


def manifest_reply(
    status: int,
    headers: Mapping[str, str],
    body: bytes | None,
    *,
    reference: str,
    size: int | None,
    source: str,
) -> ManifestReply:
    """The reply made of these parts; ``body`` is None where the request excludes one.

    `WrongContent` when the body, or what the headers say of it, is not of the digest asked for. A
    body's own digest is computed; ``Docker-Content-Digest`` is believed only where there is none.
    """
    told = _told_digest(headers)
    digest = told if body is None else digest_of(body)
    expected = parse_digest(reference) if looks_like_digest(reference) else None
    for other in (expected, told):
        if other is not None and digest is not None and other != digest:
            raise WrongContent(f"{source} sent manifest {digest} when {other} was expected")
    return ManifestReply(
        status=status,
        digest=digest or expected,
        media_type=headers.get("Content-Type", "").partition(";")[0].strip(),
        size=size if body is None else len(body),
        body=body or b"",
        headers=headers,
    )


def _told_digest(headers: Mapping[str, str]) -> Digest | None:
    try:
        return parse_digest(headers.get("Docker-Content-Digest", ""))
    except BadDigest:
        return None
