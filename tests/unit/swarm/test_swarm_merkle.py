"""Hash trees of segments, held against libtorrent's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest

from eagle_node.base.digest import digest_of
from eagle_node.blobs.files import blob_directory
from eagle_node.blobs.segments import Segment
from eagle_node.swarm.merkle import BLOCK, leaf_hashes
from eagle_node.swarm.torrents import make_torrent
from tests.unit.blobs.builders import content

LENGTHS = [
    *(1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 5 * BLOCK + 7),
    *(256 << 10, (256 << 10) + 1, 1 << 20, (1 << 20) - 3, (8 << 20) + BLOCK, (9 << 20) + 5),
]


def by_libtorrent(directory: Path, name: str, segment: Segment) -> dict[bytes, Any]:
    """The metainfo that libtorrent makes of a file."""
    entry = lt.create_file_entry(name, segment.length)
    creator = lt.create_torrent([entry], segment.piece_length, lt.create_torrent.v2_only)
    creator.set_priv(True)
    lt.set_piece_hashes(creator, str(directory))
    made: Any = creator.generate()
    return {key: made[key] for key in (b"info", b"piece layers")}


@pytest.mark.parametrize("length", LENGTHS)
def test_a_torrent_is_the_one_that_libtorrent_makes(length: int, tmp_path: Path) -> None:
    """Byte for byte, whatever the number of blocks in the last piece, and of pieces."""
    data, segment = content(length), Segment(0, 0, length)
    directory = blob_directory(tmp_path, digest_of(data))
    directory.path.mkdir(parents=True)
    directory.segment(0).write_bytes(data)
    torrent = make_torrent(directory, segment)
    assert torrent.metainfo == lt.bencode(by_libtorrent(directory.path, torrent.name, segment))


def test_leaves_of_runs_are_those_of_the_whole() -> None:
    """Runs may be hashed as they come, cut at blocks."""
    data = memoryview(content(5 * BLOCK + 1))
    whole = leaf_hashes(data)
    assert leaf_hashes(data[: 2 * BLOCK]) + leaf_hashes(data[2 * BLOCK :]) == whole
