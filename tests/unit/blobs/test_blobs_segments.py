"""The wire constant of the segment layout."""

from __future__ import annotations

import pytest

from eagle_node.blobs.segments import LAYOUT_VERSION, MAX_SIZE, layout_of

MIB = 1 << 20


def test_version_1_of_the_layout_is_this() -> None:
    """Every node of a cluster cuts blobs like so; a change needs another `LAYOUT_VERSION`."""
    assert LAYOUT_VERSION == 1
    lengths = [segment.length for segment in layout_of(100 * MIB).segments]
    assert lengths[:3] == [MIB] * 3
    assert max(lengths) == 4 * MIB
    assert lengths[-1] == MIB // 4
    assert len(layout_of(10 << 30).segments) == 312


def test_an_empty_blob_has_no_segments() -> None:
    """There is nothing to share."""
    assert layout_of(0).segments == ()
    assert layout_of(0).covering(0, 0) == ()


@pytest.mark.parametrize("size", [-1, MAX_SIZE + 1, 1 << 63])
def test_sizes_that_no_blob_has_are_refused(size: int) -> None:
    """A stranger's word on a size must not cost memory without bound."""
    with pytest.raises(ValueError, match="no blob has"):
        layout_of(size)
