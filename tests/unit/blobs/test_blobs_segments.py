"""The wire constant of the segment layout."""

from __future__ import annotations

import pytest

from eagle_node.blobs.segments import LAYOUT_VERSION, MAX_SIZE, layout_of

MIB = 1 << 20


def test_a_large_blob_grows_from_small_segments_and_ends_in_small_ones() -> None:
    """A wire constant: every node of a cluster cuts blobs alike (`LAYOUT_VERSION`)."""
    assert LAYOUT_VERSION == 5
    lengths = [segment.length for segment in layout_of(10 << 30).segments]
    assert lengths[0] == MIB // 4
    assert max(lengths) == 64 * MIB
    assert lengths[-1] <= MIB
    grown = lengths.index(64 * MIB)
    assert lengths[:grown] == sorted(lengths[:grown])
    shrunk = len(lengths) - lengths[::-1].index(64 * MIB)
    assert lengths[shrunk:] == sorted(lengths[shrunk:], reverse=True)


@pytest.mark.parametrize("mib", [64, 100, 256, 1 << 10, 10 << 10])
def test_no_segment_is_a_large_part_of_a_blob(mib: int) -> None:
    """Everybody waits for as long as the largest takes to reach the seeder."""
    layout = layout_of(mib * MIB)
    assert max(segment.length for segment in layout.segments) <= mib * MIB // 64


def test_an_empty_blob_has_no_segments() -> None:
    """There is nothing to share."""
    assert layout_of(0).segments == ()
    assert layout_of(0).covering(0, 0) == ()


@pytest.mark.parametrize("size", [-1, MAX_SIZE + 1, 1 << 63])
def test_sizes_that_no_blob_has_are_refused(size: int) -> None:
    """A stranger's word on a size must not cost memory without bound."""
    with pytest.raises(ValueError, match="no blob has"):
        layout_of(size)
