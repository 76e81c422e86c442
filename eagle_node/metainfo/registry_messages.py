"""The messages of the Registry service as values, and their codec (proto3 wire format).

``decode_*`` raises `ValueError` for bytes that are no such message, `BadDigest` for a digest that
is none; ``encode_*`` raises `ValueError` for a value that its field cannot hold.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from eagle_node.base.digest import Digest, parse_digest
from eagle_node.base.ids import NodeId
from eagle_node.metainfo.descriptors import message, parsed, serialized

MANIFEST = "/metainfo.Registry/Manifest"
"""Path of the unary call for a manifest."""
CHECK = "/metainfo.Registry/Check"
"""Path of the unary call for the right to read a blob."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestRequest:
    """A reader wants a manifest."""

    registry: str
    """``host[:port]``, as in image references."""
    repository: str
    reference: str
    """Tag or digest."""
    head: bool = False
    """Whether the manifest itself is not wanted."""
    accept: tuple[str, ...] = ()
    """The client's ``Accept`` headers."""
    authorization: str = field(default="", repr=False)
    """The reader's ``Authorization``; empty: anybody's rights. Never shown, never kept."""
    fresh: bool = False
    """Whether nothing that is remembered will do."""
    node_id: NodeId
    request_id: str = ""
    """For the logs of both ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestReply:
    """The manifest that the reader may have."""

    digest: Digest | None
    """None: not told."""
    media_type: str
    size: int | None
    """Bytes; None: not told."""
    body: bytes = field(default=b"", repr=False)
    """Empty in answer to ``head`` only."""
    age_ms: int = 0
    """Since the registry said so."""
    stale: bool = False
    """Whether it is an old word, since the registry cannot be asked."""
    limited: bool = False
    """Whether that is because the registry has said to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRequest:
    """May this reader have a blob?"""

    registry: str
    """``host[:port]``, as in image references."""
    repository: str
    digest: Digest
    authorization: str = field(default="", repr=False)
    """The reader's ``Authorization``; empty: anybody's rights. Never shown, never kept."""
    node_id: NodeId
    request_id: str = ""
    """For the logs of both ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReply:
    """The reader may have it."""

    size: int | None
    """Bytes; None: not told."""
    age_ms: int = 0
    """Since the registry said so."""
    stale: bool = False
    """Whether it is an old word, since the registry cannot be asked."""
    limited: bool = False
    """Whether that is because the registry has said to wait."""


def encode_manifest_request(request: ManifestRequest) -> bytes:
    """``metainfo.ManifestRequest``."""
    made = message("ManifestRequest")
    made.registry = request.registry
    made.repository = request.repository
    made.reference = request.reference
    made.head = request.head
    made.accept.extend(request.accept)
    made.authorization = request.authorization
    made.fresh = request.fresh
    made.node_id = request.node_id
    made.request_id = request.request_id
    return serialized(made)


def decode_manifest_request(data: bytes) -> ManifestRequest:
    """The opposite of `encode_manifest_request`; names are for the caller to check."""
    found = parsed("ManifestRequest", data)
    return ManifestRequest(
        registry=found.registry,
        repository=found.repository,
        reference=found.reference,
        head=found.head,
        accept=tuple(found.accept),
        authorization=found.authorization,
        fresh=found.fresh,
        node_id=NodeId(found.node_id),
        request_id=found.request_id,
    )


def encode_manifest_reply(reply: ManifestReply) -> bytes:
    """``metainfo.ManifestReply``."""
    made = message("ManifestReply")
    made.digest = reply.digest or ""
    made.media_type = reply.media_type
    made.sized = reply.size is not None
    made.size = reply.size or 0
    made.body = reply.body
    made.age_ms = reply.age_ms
    made.stale = reply.stale
    made.limited = reply.limited
    return serialized(made)


def decode_manifest_reply(data: bytes) -> ManifestReply:
    """The opposite of `encode_manifest_reply`; that the body has the digest is for the caller."""
    found = parsed("ManifestReply", data)
    return ManifestReply(
        digest=parse_digest(found.digest) if found.digest else None,
        media_type=found.media_type,
        size=found.size if found.sized else None,
        body=found.body,
        age_ms=found.age_ms,
        stale=found.stale,
        limited=found.limited,
    )


def encode_check_request(request: CheckRequest) -> bytes:
    """``metainfo.CheckRequest``."""
    made = message("CheckRequest")
    made.registry = request.registry
    made.repository = request.repository
    made.digest = request.digest
    made.authorization = request.authorization
    made.node_id = request.node_id
    made.request_id = request.request_id
    return serialized(made)


def decode_check_request(data: bytes) -> CheckRequest:
    """The opposite of `encode_check_request`; names are for the caller to check."""
    found = parsed("CheckRequest", data)
    return CheckRequest(
        registry=found.registry,
        repository=found.repository,
        digest=parse_digest(found.digest),
        authorization=found.authorization,
        node_id=NodeId(found.node_id),
        request_id=found.request_id,
    )


def encode_check_reply(reply: CheckReply) -> bytes:
    """``metainfo.CheckReply``."""
    made = message("CheckReply")
    made.sized = reply.size is not None
    made.size = reply.size or 0
    made.age_ms = reply.age_ms
    made.stale = reply.stale
    made.limited = reply.limited
    return serialized(made)


def decode_check_reply(data: bytes) -> CheckReply:
    """The opposite of `encode_check_reply`."""
    found = parsed("CheckReply", data)
    return CheckReply(
        size=found.size if found.sized else None,
        age_ms=found.age_ms,
        stale=found.stale,
        limited=found.limited,
    )
