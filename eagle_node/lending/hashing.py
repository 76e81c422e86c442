"""The digest and the piece hashes of a blob in one file, in one reading."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from eagle_node.base.digest import Digest
from eagle_node.blobs.segments import Segment, layout_of

_BLOCK = 16 << 10
"""Bytes under a leaf of the hash tree (BEP 52)."""
_HASH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What the bytes of a file are."""

    digest: Digest
    layers: bytes
    """The piece hashes of all segments, in order (`assemble_torrent`)."""


def pieces_of(segment: Segment) -> int:
    """Hashes in a segment's layer."""
    return -(-segment.length // segment.piece_length)


def split_layers(layers: bytes, size: int) -> list[bytes]:
    """The layer of each segment of a blob of ``size`` bytes; empty when they do not fit."""
    found, offset = [], 0
    for segment in layout_of(size).segments:
        found.append(layers[offset : offset + _HASH * pieces_of(segment)])
        offset += len(found[-1])
    expected = sum(pieces_of(segment) for segment in layout_of(size).segments)
    return found if len(layers) == offset == _HASH * expected else []


class Hashing:
    """Reads a file of ``size`` bytes from its start; iterate for the bytes of each step."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self._digest = hashlib.sha256()
        self._layers: list[bytes] = []

    def __iter__(self) -> Iterator[int]:
        """Hash piece by piece; `EOFError` when the file has become shorter."""
        for segment in layout_of(self._size).segments:
            single = pieces_of(segment) == 1
            for start in range(segment.start, segment.stop, segment.piece_length):
                length = min(segment.piece_length, segment.stop - start)
                piece = self._file.read(length)
                if len(piece) != length:
                    raise EOFError(f"it ended before its {self._size} bytes")
                self._digest.update(piece)
                whole = length if single else segment.piece_length
                self._layers.append(_root(piece, leaves=-(-whole // _BLOCK)))
                yield length

    def result(self) -> Fingerprint:
        """Once the iteration has ended."""
        return Fingerprint(
            digest=Digest(f"sha256:{self._digest.hexdigest()}"), layers=b"".join(self._layers)
        )


def _root(piece: bytes, *, leaves: int) -> bytes:
    """Of the tree over a piece's blocks, padded with zeros to a power of two (BEP 52)."""
    view = memoryview(piece)
    nodes = [hashlib.sha256(view[at : at + _BLOCK]).digest() for at in range(0, len(piece), _BLOCK)]
    width = 1 << max(0, leaves - 1).bit_length()
    nodes += [bytes(_HASH)] * (width - len(nodes))
    while len(nodes) > 1:
        nodes = [
            hashlib.sha256(nodes[at] + nodes[at + 1]).digest() for at in range(0, len(nodes), 2)
        ]
    return nodes[0]
