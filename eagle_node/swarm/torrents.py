"""Metainfo of segments: v2-only (BEP 52), private (BEP 27), deterministic.

The same bytes give the same metainfo on every node, so any holder can make it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import libtorrent as lt

from eagle_node.base.digest import Digest
from eagle_node.base.errors import Unavailable, WrongContent
from eagle_node.base.ids import InfoHash
from eagle_node.blobs.files import BlobDirectory, segment_name
from eagle_node.blobs.segments import Layout, Segment
from eagle_node.swarm.merkle import layer_root, leaf_hashes, piece_layer

_CHUNK = 256 << 10
"""Bytes that are read and hashed at a time: they stay in a core's second-level cache."""
_KEYS = frozenset({b"info", b"piece layers"})
"""What metainfo of a segment holds at its top level."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentTorrent:
    """The torrent of one segment."""

    digest: Digest
    segment: Segment
    metainfo: bytes
    """Bencoded, without announce keys; while it is being fetched, without the hashes of pieces."""
    info_hash: InfoHash
    hashed_here: bool = field(default=False, compare=False)
    """Made by this process from the file's own bytes: to offer it they need not be hashed again."""

    @property
    def root(self) -> bytes:
        """The root of its hash tree, 32 bytes: what others need to fetch it (`rooted_torrent`)."""
        content: Any = lt.bdecode(self.metainfo)
        (node,) = content[b"info"][b"file tree"].values()
        return bytes(node[b""][b"pieces root"])

    @property
    def has_layer(self) -> bool:
        """Whether the metainfo has the hashes of the pieces; of a single one the root is it."""
        content: Any = lt.bdecode(self.metainfo)
        return b"piece layers" in content

    @property
    def layer(self) -> bytes:
        """The hashes of its pieces, 32 bytes each; empty if the metainfo has none."""
        content: Any = lt.bdecode(self.metainfo)
        return b"".join(content.get(b"piece layers", {}).values())

    @property
    def name(self) -> str:
        """Name of the torrent and of its only file."""
        return segment_name(self.digest, self.segment.index)


def make_torrent(
    directory: BlobDirectory, segment: Segment, *, root_certificate: bytes = b""
) -> SegmentTorrent:
    """Hash a segment's file and make its torrent; blocks, under 1 ms per MiB, but no other thread.

    libtorrent's own hashing of files holds the interpreter's lock to its end. ``root_certificate``
    (PEM) makes it an SSL torrent, which only certificates of that CA may join.
    """
    layer = piece_layer(_leaves(directory, segment), segment.piece_length)
    made = assemble_torrent(layer, directory.digest, segment, root_certificate=root_certificate)
    return replace(made, hashed_here=True)


def _leaves(directory: BlobDirectory, segment: Segment) -> list[bytes]:
    path = directory.segment(segment.index)
    leaves: list[bytes] = []
    chunk = memoryview(bytearray(min(_CHUNK, segment.length)))
    try:
        with path.open("rb") as file:
            for start in range(0, segment.length, _CHUNK):
                wanted = chunk[: segment.length - start]
                if file.readinto(wanted) < len(wanted):
                    raise Unavailable(f"cannot hash {path}: it is too short")
                leaves += leaf_hashes(wanted)
    except OSError as error:
        raise Unavailable(f"cannot hash {path}: {error.strerror}") from error
    return leaves


def make_whole_torrent(
    directory: BlobDirectory,
    layout: Layout,
    trackers: Sequence[str],
    *,
    root_certificate: bytes = b"",
) -> tuple[InfoHash, bytes]:
    """The torrent of a whole blob: a directory of its segments' files, in order; blocks.

    For BitTorrent clients that know nothing of segments; the blob is the files' concatenation.
    Each tracker is a tier of its own (BEP 12).
    """
    if not layout.segments:
        raise Unavailable(f"{directory.digest} is empty; there is no torrent of nothing")
    piece_length = max(segment.piece_length for segment in layout.segments)
    tree: dict[bytes, Any] = {}
    layers: dict[bytes, bytes] = {}
    for segment in layout.segments:
        layer = piece_layer(_leaves(directory, segment), piece_length)
        root = layer_root(layer, piece_length)
        tree[segment_name(directory.digest, segment.index).encode()] = _file(segment, root)
        if root != layer:
            layers[root] = layer
    name = directory.path.name.encode()
    content: Any = {
        b"info": _info(name, tree, piece_length, root_certificate),
        b"piece layers": layers,
        **_announces(trackers),
    }
    metainfo = bytes(lt.bencode(content))
    best = lt.load_torrent_buffer(metainfo).info_hashes.get_best().to_bytes()
    return InfoHash(best[:20]), metainfo


def rooted_torrent(
    root: bytes, digest: Digest, segment: Segment, *, root_certificate: bytes = b""
) -> SegmentTorrent:
    """The torrent of the segment whose hash tree has this root (`SegmentTorrent.root`).

    All else in the info dictionary follows from what every node knows. Who fetches it gets the
    hashes of its pieces from the same peers, with the pieces (BEP 52), and need not trust them: the
    root proves them. `WrongContent` for a root that is no hash.
    """
    if len(root) != 32:
        raise WrongContent(
            f"{len(root)} bytes are not the root of {digest} segment {segment.index}"
        )
    content: Any = {b"info": _segment_info(digest, segment, root_certificate, root)}
    if segment.length <= segment.piece_length:
        content[b"piece layers"] = {}
    return _torrent(digest, segment, lt.bencode(content))


def with_layer(torrent: SegmentTorrent, leaves: list[bytes]) -> SegmentTorrent:
    """A `rooted_torrent` that was fetched, as who has all of it offers it.

    ``leaves`` are the hashes of its blocks; `WrongContent` if they are of another segment.
    """
    segment = torrent.segment
    layer = piece_layer(leaves, segment.piece_length) if leaves else b""
    if not layer or layer_root(layer, segment.piece_length) != torrent.root:
        raise WrongContent(
            f"{len(leaves)} hashes are not those of {torrent.digest} segment {segment.index}"
        )
    content: Any = lt.bdecode(torrent.metainfo)
    content[b"piece layers"] = {torrent.root: layer} if len(layer) > 32 else {}
    return replace(torrent, metainfo=bytes(lt.bencode(content)))


def assemble_torrent(
    layer: bytes, digest: Digest, segment: Segment, *, root_certificate: bytes = b""
) -> SegmentTorrent:
    """The torrent of the segment whose pieces have these hashes, 32 bytes each.

    `WrongContent` for hashes of another number of pieces.
    """
    pieces = -(-segment.length // segment.piece_length)
    if len(layer) != 32 * pieces:
        raise WrongContent(
            f"{len(layer)} bytes are not the piece hashes of {digest} segment {segment.index}"
        )
    root = layer_root(layer, segment.piece_length)
    info = _segment_info(digest, segment, root_certificate, root)
    content: Any = {b"info": info, b"piece layers": {root: layer} if pieces > 1 else {}}
    return _torrent(digest, segment, lt.bencode(content))


def parse_torrent(
    metainfo: bytes, digest: Digest, segment: Segment, *, root_certificate: bytes = b""
) -> SegmentTorrent:
    """Metainfo that was kept; `WrongContent` unless it is exactly this segment's form.

    It has the hashes of the pieces, and names no tracker and no web seed: libtorrent would call
    them.
    """
    try:
        content: Any = lt.bdecode(metainfo)
    except (RuntimeError, ValueError) as error:
        raise WrongContent(f"metainfo of {digest} is not bencoded: {error}") from error
    expected = _segment_info(digest, segment, root_certificate, 32)
    if (
        not isinstance(content, dict)
        or content.keys() != _KEYS
        or _form(content.get(b"info")) != expected
    ):
        raise WrongContent(
            f"metainfo of {digest} segment {segment.index} does not describe that segment"
        )
    return _torrent(digest, segment, metainfo)


def pack_torrents(torrents: list[SegmentTorrent]) -> bytes:
    """The metainfo of all segments of a blob, to be kept beside it."""
    return bytes(lt.bencode([torrent.metainfo for torrent in torrents]))


def unpack_torrents(data: bytes) -> list[bytes]:
    """The opposite of `pack_torrents`; an empty list when ``data`` is damaged."""
    try:
        content: Any = lt.bdecode(data)
    except (RuntimeError, ValueError):
        return []
    return content if isinstance(content, list) else []


def _torrent(digest: Digest, segment: Segment, metainfo: bytes) -> SegmentTorrent:
    try:
        parameters = lt.load_torrent_buffer(metainfo)
    except RuntimeError as error:
        raise WrongContent(f"metainfo of {digest} is invalid: {error}") from error
    best = parameters.info_hashes.get_best().to_bytes()
    return SegmentTorrent(
        digest=digest, segment=segment, metainfo=metainfo, info_hash=InfoHash(best[:20])
    )


def _file(segment: Segment, root: bytes | int) -> dict[bytes, Any]:
    return {b"": {b"length": segment.length, b"pieces root": root}}


def _segment_info(
    digest: Digest, segment: Segment, root_certificate: bytes, root: bytes | int
) -> dict[bytes, Any]:
    name = segment_name(digest, segment.index).encode()
    tree = {name: _file(segment, root)}
    return _info(name, tree, segment.piece_length, root_certificate)


def _info(
    name: bytes, tree: dict[bytes, Any], piece_length: int, root_certificate: bytes
) -> dict[bytes, Any]:
    info: dict[bytes, Any] = {
        b"file tree": tree,
        b"meta version": 2,
        b"name": name,
        b"piece length": piece_length,
        b"private": 1,
    }
    if root_certificate:
        info[b"ssl-cert"] = root_certificate
    return info


def _announces(trackers: Sequence[str]) -> dict[bytes, Any]:
    """BEP 3, and BEP 12 for more than one."""
    urls = [url.encode() for url in trackers]
    single = {b"announce": urls[0]} if urls else {}
    return single | ({b"announce-list": [[url] for url in urls]} if len(urls) > 1 else {})


def _form(info: Any) -> Any:
    """``info`` with its hash replaced by the hash's length."""
    match info:
        case {b"file tree": dict(tree)} if len(tree) == 1:
            (name, node), *_ = tree.items()
            leaf = node.get(b"") if isinstance(node, dict) else None
            if isinstance(leaf, dict) and isinstance(leaf.get(b"pieces root"), bytes):
                form = dict(leaf) | {b"pieces root": len(leaf[b"pieces root"])}
                return dict(info) | {b"file tree": {name: {b"": form}}}
    return None
