"""Laws of metainfo that comes from strangers."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from eagle_node.base.digest import digest_of
from eagle_node.base.errors import WrongContent
from eagle_node.blobs.files import blob_directory
from eagle_node.blobs.segments import layout_of
from eagle_node.swarm.torrents import SegmentTorrent, make_torrent, parse_torrent
from tests.unit.blobs.builders import content

DATA = content(200_000)
DIGEST = digest_of(DATA)
SEGMENT = layout_of(len(DATA)).segments[0]


@cache
def honest() -> SegmentTorrent:
    """The metainfo of `DATA`'s only segment."""
    with tempfile.TemporaryDirectory() as root:
        directory = blob_directory(Path(root), DIGEST)
        directory.path.mkdir(parents=True)
        directory.segment(0).write_bytes(DATA)
        return make_torrent(directory, SEGMENT)


@given(st.data())
def test_changed_bytes_are_refused_or_harmless(data: st.DataObject) -> None:
    """What parses has the segment's form to the letter, whichever byte a stranger changes.

    The hash may be another one: then its content never arrives, or fails the blob's digest.
    """
    changed = bytearray(honest().metainfo)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(changed) - 1))
        match data.draw(st.sampled_from(("set", "drop", "insert"))):
            case "set":
                changed[position] = data.draw(st.integers(0, 255))
            case "drop":
                del changed[position]
            case _:
                changed.insert(position, data.draw(st.integers(0, 255)))
    with suppress(WrongContent):
        parsed = parse_torrent(bytes(changed), DIGEST, SEGMENT)
        assert parsed.name == honest().name
        assert parsed.segment == SEGMENT
        assert len(parsed.metainfo) == len(honest().metainfo)


@given(st.binary(max_size=300))
def test_any_bytes_are_metainfo_or_wrong_content(data: bytes) -> None:
    """No other error escapes."""
    with suppress(WrongContent):
        parse_torrent(data, DIGEST, SEGMENT)
