"""One reading gives the digest and the hashes that libtorrent finds in segment files."""

from __future__ import annotations

import io
import random
from pathlib import Path

import pytest

from eagle_node.base.digest import digest_of
from eagle_node.blobs.files import blob_directory
from eagle_node.blobs.segments import layout_of
from eagle_node.lending.hashing import Hashing, pieces_of, split_layers
from eagle_node.swarm.torrents import assemble_torrent, make_torrent

KIB, MIB = 1 << 10, 1 << 20
SIZES = [0, 1, 16 * KIB, 16 * KIB + 1, 200_000, 256 * KIB, 256 * KIB + 5, 3 * MIB + 7, 40 * MIB]


@pytest.mark.parametrize("size", SIZES)
def test_the_torrents_are_those_of_segment_files(tmp_path: Path, size: int) -> None:
    """Same bytes, same info-hash: out of a file of its own, or out of the middle of another."""
    data = random.Random(size).randbytes(size)
    hashing = Hashing(io.BytesIO(data), size)
    assert sum(hashing) == size
    found = hashing.result()
    assert found.digest == digest_of(data)
    layers = split_layers(found.layers, size)
    directory = blob_directory(tmp_path, found.digest)
    directory.path.mkdir(parents=True)
    for segment, layer in zip(layout_of(size).segments, layers, strict=True):
        directory.segment(segment.index).write_bytes(data[segment.start : segment.stop])
        made = make_torrent(directory, segment)
        assert assemble_torrent(layer, found.digest, segment) == made


def test_a_file_that_ends_early_is_an_error() -> None:
    """No fingerprint of half a blob."""
    with pytest.raises(EOFError, match="ended before its 300000 bytes"):
        sum(Hashing(io.BytesIO(bytes(200_000)), 300_000))


def test_layers_of_another_size_are_refused() -> None:
    """What an older node may have kept is made again."""
    pieces = sum(pieces_of(segment) for segment in layout_of(3 * MIB).segments)
    assert len(split_layers(bytes(32 * pieces), 3 * MIB)) == len(layout_of(3 * MIB).segments)
    assert split_layers(bytes(32 * pieces - 1), 3 * MIB) == []
    assert split_layers(bytes(32 * pieces + 32), 3 * MIB) == []
    assert split_layers(b"", 3 * MIB) == []
