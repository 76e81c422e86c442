"""What bytes of a segment hash to, as a value, and its codec; asked with a `ReadRequest`.

The codec raises as that of `messages` does.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from eagle_node.base.ids import InfoHash, NodeId
from eagle_node.metainfo.descriptors import message, parsed, serialized

HASHES = "/metainfo.Segments/Hashes"
"""Path of the unary call."""
HASH = 32
"""Bytes of a SHA-256 hash."""
_INFO_HASH = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class HashesReply:
    """The hashes of the blocks that hold the bytes asked for."""

    hashes: tuple[bytes, ...] = field(repr=False)
    """One for each block (`blobs.demand.BLOCK`), in their order."""
    info_hash: InfoHash
    """Of the segment's torrent, by which other nodes have the segment."""
    node_id: NodeId
    """The seeder."""


def encode_hashes_reply(reply: HashesReply) -> bytes:
    """``metainfo.HashesReply``."""
    made = message("HashesReply")
    made.hashes = b"".join(reply.hashes)
    made.info_hash = reply.info_hash
    made.node_id = reply.node_id
    return serialized(made)


def decode_hashes_reply(data: bytes) -> HashesReply:
    """The opposite of `encode_hashes_reply`."""
    found = parsed("HashesReply", data)
    if len(found.hashes) % HASH or len(found.info_hash) != _INFO_HASH:
        raise ValueError(f"{len(found.hashes)} and {len(found.info_hash)} bytes are no hashes")
    return HashesReply(
        hashes=tuple(found.hashes[at : at + HASH] for at in range(0, len(found.hashes), HASH)),
        info_hash=InfoHash(found.info_hash),
        node_id=NodeId(found.node_id),
    )
