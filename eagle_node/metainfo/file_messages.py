"""The messages of the Files service as values, and their codec (proto3 wire format).

``decode_*`` raises `ValueError` for bytes that are no such message, `BadDigest` for a digest that
is none.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from eagle_node.base.digest import Digest, parse_digest
from eagle_node.base.ids import NodeId
from eagle_node.metainfo.descriptors import message, parsed, serialized
from eagle_node.metainfo.messages import BeatEvent

LOOK = "/metainfo.Files/Look"
"""Path of the call that streams back what a file is now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookRequest:
    """A reader wants to know what a file is now."""

    registry: str
    """``host[:port]``."""
    path: str = field(repr=False)
    """Path and query at this server; the query may be signed."""
    authorization: str = field(default="", repr=False)
    """The reader's ``Authorization``; empty: anybody's rights. Never shown, never kept."""
    node_id: NodeId
    request_id: str = ""
    """For the logs of both ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundEvent:
    """What the file is."""

    digest: Digest
    size: int


LookReply = BeatEvent | FoundEvent


def encode_look_request(request: LookRequest) -> bytes:
    """``metainfo.LookRequest``."""
    made = message("LookRequest")
    made.registry = request.registry
    made.path = request.path
    made.authorization = request.authorization
    made.node_id = request.node_id
    made.request_id = request.request_id
    return serialized(made)


def decode_look_request(data: bytes) -> LookRequest:
    """The opposite of `encode_look_request`; names are for the caller to check."""
    found = parsed("LookRequest", data)
    return LookRequest(
        registry=found.registry,
        path=found.path,
        authorization=found.authorization,
        node_id=NodeId(found.node_id),
        request_id=found.request_id,
    )


def encode_look_reply(reply: LookReply) -> bytes:
    """``metainfo.LookReply``."""
    made = message("LookReply")
    match reply:
        case BeatEvent(received=received):
            made.beat.SetInParent()
            made.beat.received = received
        case FoundEvent(digest=digest, size=size):
            made.found.digest = digest
            made.found.size = size
    return serialized(made)


def decode_look_reply(data: bytes) -> LookReply | None:
    """The opposite of `encode_look_reply`; None for an event that is not known here."""
    found = parsed("LookReply", data)
    match found.WhichOneof("event"):
        case "beat":
            return BeatEvent(received=found.beat.received)
        case "found":
            return FoundEvent(digest=parse_digest(found.found.digest), size=found.found.size)
    return None
