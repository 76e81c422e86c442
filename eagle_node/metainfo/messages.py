"""The contract's messages as values, and their codec (proto3 wire format).

``decode_*`` raises `ValueError` for bytes that are no such message, `BadDigest` for a digest that
is none; ``encode_*`` raises `ValueError` for a value that its field cannot hold.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import assert_never

from eagle_node.base.digest import Digest, parse_digest
from eagle_node.base.ids import NodeId
from eagle_node.metainfo.descriptors import message
from eagle_node.metainfo.descriptors import parsed as _parsed
from eagle_node.metainfo.descriptors import serialized as _serialized

GET_METAINFO = "/metainfo.MetaInfo/GetMetaInfo"
"""Path of the unary call."""
FETCH = "/metainfo.Segments/Fetch"
"""Path of the streaming call."""
PREFETCH = "/metainfo.Segments/Prefetch"
"""Path of the unary call that only tells what will be wanted."""
READ = "/metainfo.Segments/Read"
"""Path of the streaming call for bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRequest:
    """A node wants a blob."""

    registry: str
    """``host[:port]``, as in image references."""
    repository: str
    digest: Digest
    authorization: str = field(default="", repr=False)
    """The client's own ``Authorization`` header; empty: none. Never shown, never kept."""
    node_id: NodeId
    layout_version: int
    """The segment layout that the asker knows."""
    request_id: str = ""
    """For the logs of both ends."""
    first: tuple[int, ...] = ()
    """Segments wanted before all others."""
    path: str = ""
    """Path and query at which the registry serves the blob; empty: where the protocol says."""
    only_first: bool = False
    """No segment but those in ``first`` is wanted, for as long as the stream lasts.

    The stream then ends with the blob's arrival or with the caller, not with the last segment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefetchBlob:
    """A blob that a manifest names."""

    digest: Digest
    size: int
    """Bytes, as the manifest says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefetchRequest:
    """A client was given an image's manifest and may ask for these blobs soon."""

    registry: str
    """``host[:port]``, as in image references."""
    repository: str
    blobs: tuple[PrefetchBlob, ...]
    """In the order in which they will be asked for."""
    authorization: str = field(default="", repr=False)
    """The client's own ``Authorization`` header; empty: none. Never shown, never kept."""
    node_id: NodeId
    request_id: str = ""
    """For the logs of both ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRequest:
    """A node wants bytes ``[start, stop)`` of a blob: less of a segment than is worth a torrent."""

    registry: str
    """``host[:port]``, as in image references."""
    repository: str
    digest: Digest
    authorization: str = field(default="", repr=False)
    """The client's own ``Authorization`` header; empty: none. Never shown, never kept."""
    node_id: NodeId
    request_id: str = ""
    """For the logs of both ends."""
    path: str = ""
    """Path and query at which the registry serves the blob; empty: where the protocol says."""
    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutEvent:
    """The blob's size, before any of its segments."""

    size: int
    """Bytes."""
    version: int
    """The segment layout that indexes refer to."""
    swarm_port: int = 0
    """Where the seeder's swarm listens; 0: unknown."""
    age_ms: int = 0
    """Since the registry said that the asker may read the blob."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentEvent:
    """A segment is at the seeder and can be swarmed."""

    index: int
    root: bytes = field(repr=False)
    """Of its hash tree, 32 bytes (BEP 52): the rest of the info dictionary is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineEvent:
    """A whole small blob, instead of layout and segments."""

    data: bytes = field(repr=False)
    age_ms: int = 0
    """As of `LayoutEvent`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatEvent:
    """The seeder is alive though no segment is ready."""

    received: int
    """Bytes of the blob that are at the seeder."""
    waiting: bool = False
    """It waits for its turn to draw on the origin, where other blobs make progress."""


_READ_FIELDS = tuple(ReadRequest.__dataclass_fields__)

FetchReply = LayoutEvent | SegmentEvent | InlineEvent | BeatEvent
"""What a seeder tells about a blob, one at a time."""


def encode_fetch_request(request: FetchRequest) -> bytes:
    """``metainfo.FetchRequest``."""
    made = message("FetchRequest")
    made.registry = request.registry
    made.repository = request.repository
    made.digest = request.digest
    made.authorization = request.authorization
    made.node_id = request.node_id
    made.layout_version = request.layout_version
    made.request_id = request.request_id
    made.first.extend(request.first)
    made.path = request.path
    made.only_first = request.only_first
    return _serialized(made)


def decode_fetch_request(data: bytes) -> FetchRequest:
    """The opposite of `encode_fetch_request`; names are for the caller to check."""
    parsed = _parsed("FetchRequest", data)
    return FetchRequest(
        registry=parsed.registry,
        repository=parsed.repository,
        digest=parse_digest(parsed.digest),
        authorization=parsed.authorization,
        node_id=NodeId(parsed.node_id),
        layout_version=parsed.layout_version,
        request_id=parsed.request_id,
        first=tuple(parsed.first),
        path=parsed.path,
        only_first=parsed.only_first,
    )


def encode_fetch_reply(reply: FetchReply) -> bytes:
    """``metainfo.FetchReply``."""
    made = message("FetchReply")
    match reply:
        case LayoutEvent():
            made.layout.SetInParent()
            made.layout.size = reply.size
            made.layout.version = reply.version
            made.layout.swarm_port = reply.swarm_port
            made.age_ms = reply.age_ms
        case SegmentEvent():
            made.segment.SetInParent()
            made.segment.index = reply.index
            made.segment.root = reply.root
        case InlineEvent():
            made.inline = reply.data
            made.age_ms = reply.age_ms
        case BeatEvent():
            made.beat.SetInParent()
            made.beat.received = reply.received
            made.beat.waiting = reply.waiting
        case _:
            assert_never(reply)
    return _serialized(made)


def decode_fetch_reply(data: bytes) -> FetchReply | None:
    """The opposite of `encode_fetch_reply`; None: an event that only newer releases know."""
    parsed = _parsed("FetchReply", data)
    match parsed.WhichOneof("event"):
        case "layout":
            layout = parsed.layout
            return LayoutEvent(
                size=layout.size,
                version=layout.version,
                swarm_port=layout.swarm_port,
                age_ms=parsed.age_ms,
            )
        case "segment":
            return SegmentEvent(index=parsed.segment.index, root=parsed.segment.root)
        case "inline":
            return InlineEvent(data=parsed.inline, age_ms=parsed.age_ms)
        case "beat":
            return BeatEvent(received=parsed.beat.received, waiting=parsed.beat.waiting)
    return None


def encode_prefetch_request(request: PrefetchRequest) -> bytes:
    """``metainfo.PrefetchRequest``."""
    made = message("PrefetchRequest")
    made.registry = request.registry
    made.repository = request.repository
    for blob in request.blobs:
        made.blobs.add(digest=blob.digest, size=blob.size)
    made.authorization = request.authorization
    made.node_id = request.node_id
    made.request_id = request.request_id
    return _serialized(made)


def decode_prefetch_request(data: bytes) -> PrefetchRequest:
    """The opposite of `encode_prefetch_request`; names are for the caller to check."""
    parsed = _parsed("PrefetchRequest", data)
    return PrefetchRequest(
        registry=parsed.registry,
        repository=parsed.repository,
        blobs=tuple(
            PrefetchBlob(digest=parse_digest(blob.digest), size=blob.size) for blob in parsed.blobs
        ),
        authorization=parsed.authorization,
        node_id=NodeId(parsed.node_id),
        request_id=parsed.request_id,
    )


def encode_prefetch_reply() -> bytes:
    """``metainfo.PrefetchReply``, which says nothing."""
    return _serialized(message("PrefetchReply"))


def encode_read_request(request: ReadRequest) -> bytes:
    """``metainfo.ReadRequest``."""
    made = message("ReadRequest")
    for name in _READ_FIELDS:
        setattr(made, name, getattr(request, name))
    return _serialized(made)


def decode_read_request(data: bytes) -> ReadRequest:
    """The opposite of `encode_read_request`; names are for the caller to check."""
    parsed = _parsed("ReadRequest", data)
    fields = {name: getattr(parsed, name) for name in _READ_FIELDS}
    fields |= {"digest": parse_digest(parsed.digest), "node_id": NodeId(parsed.node_id)}
    return ReadRequest(**fields)


def encode_read_reply(data: bytes) -> bytes:
    """``metainfo.ReadReply`` with some bytes."""
    made = message("ReadReply")
    made.data = data
    return _serialized(made)


def decode_read_reply(data: bytes) -> bytes:
    """The bytes in a ``metainfo.ReadReply``."""
    return bytes(_parsed("ReadReply", data).data)


def encode_metainfo_request(url: str) -> bytes:
    """``metainfo.MetaInfoRequest`` for a blob's URL."""
    made = message("MetaInfoRequest")
    made.url = url
    return _serialized(made)


def decode_metainfo_request(data: bytes) -> str:
    """The URL in a ``metainfo.MetaInfoRequest``."""
    return str(_parsed("MetaInfoRequest", data).url)


def encode_metainfo_reply(metainfo: bytes) -> bytes:
    """``metainfo.MetaInfoReply`` with bencoded metainfo."""
    made = message("MetaInfoReply")
    made.metainfo = metainfo
    return _serialized(made)


def decode_metainfo_reply(data: bytes) -> bytes:
    """The metainfo in a ``metainfo.MetaInfoReply``."""
    return bytes(_parsed("MetaInfoReply", data).metainfo)
