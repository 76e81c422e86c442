"""The hash tree over a segment's bytes (BEP 52). No IO."""

from __future__ import annotations

import hashlib

BLOCK = 16 << 10
"""Bytes under a leaf (BEP 52)."""
_HASH = 32


def leaf_hashes(data: memoryview) -> list[bytes]:
    """The leaves of a run of bytes that starts at a block's start."""
    return [
        hashlib.sha256(data[start : start + BLOCK]).digest() for start in range(0, len(data), BLOCK)
    ]


def piece_layer(leaves: list[bytes], piece_length: int) -> bytes:
    """The hashes of the pieces above ``leaves``, one after the other.

    Absent leaves are zeros: up to the piece's end, or where there is only one piece up to the next
    power of two.
    """
    width = piece_length // BLOCK
    if len(leaves) <= width:
        width = 1 << (len(leaves) - 1).bit_length()
    pieces = (leaves[start : start + width] for start in range(0, len(leaves), width))
    return b"".join(_root(piece, width) for piece in pieces)


def padded_layer(layer: bytes, piece_length: int) -> list[bytes]:
    """A piece layer up to the next power of two: behind the last piece come some of zero hashes."""
    nodes = [layer[at : at + _HASH] for at in range(0, len(layer), _HASH)]
    absent = (1 << (len(nodes) - 1).bit_length()) - len(nodes)
    return nodes + [_root([], piece_length // BLOCK)] * absent


def layer_root(layer: bytes, piece_length: int) -> bytes:
    """The root of the tree above a piece layer, which has a hash at the least."""
    nodes = padded_layer(layer, piece_length)
    return _root(nodes, len(nodes))


def _root(leaves: list[bytes], width: int) -> bytes:
    nodes = leaves + [bytes(_HASH)] * (width - len(leaves))
    while len(nodes) > 1:
        pairs = zip(nodes[::2], nodes[1::2], strict=True)
        nodes = [hashlib.sha256(left + right).digest() for left, right in pairs]
    return nodes[0]
