"""Laws of the segment layout and of eviction."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from eagle_node.base.digest import Digest
from eagle_node.blobs.eviction import Resident, victims
from eagle_node.blobs.segments import layout_of

GIB = 1 << 30
sizes = st.integers(0, 40 << 20) | st.integers(0, 10 * GIB)

residents = st.dictionaries(
    st.integers(0, 30).map(lambda n: Digest(f"sha256:{n:064x}")),
    st.builds(Resident, size=st.integers(0, 100), used=st.integers(0, 1000)),
)


@given(sizes)
@example(0)
@example(1)
@example(1 << 20)
@example((1 << 20) + 1)
@example(10 * GIB)
def test_segments_cover_every_byte_once(size: int) -> None:
    """In order, without gap or overlap, and none of them empty."""
    reached = 0
    for index, segment in enumerate(layout_of(size).segments):
        assert (segment.index, segment.start) == (index, reached)
        assert segment.length > 0
        reached = segment.stop
    assert reached == size


@given(sizes)
@example(10 * GIB)
def test_a_blob_has_few_segments_and_an_early_first_one(size: int) -> None:
    """Up to 10 GiB at most 640 torrents; the first can be shared after 4 MiB at the latest."""
    segments = layout_of(size).segments
    assert len(segments) <= 640
    assert all(segment.length <= 4 << 20 for segment in segments[:1])


@given(sizes)
def test_the_last_segment_is_short(size: int) -> None:
    """It is the tail that every hop of a chain waits for."""
    assert all(segment.length <= 2 << 20 for segment in layout_of(size).segments[-1:])


@given(sizes)
def test_pieces_are_as_bittorrent_wants_them(size: int) -> None:
    """A power of two of at least 16 KiB (BEP 52), and at most 256 pieces for a segment."""
    for segment in layout_of(size).segments:
        piece = segment.piece_length
        assert piece >= 16 << 10
        assert piece & (piece - 1) == 0
        assert -(-segment.length // piece) <= 256


@given(sizes)
def test_the_layout_is_a_function_of_the_size_alone(size: int) -> None:
    """Nodes that never met cut a blob in the same places."""
    before = layout_of(size)
    layout_of.cache_clear()
    assert layout_of(size) == before


@given(st.integers(1, 10 * GIB), st.data())
def test_any_byte_is_found_in_its_segment(size: int, data: st.DataObject) -> None:
    """``at`` and ``covering`` agree with the segments' borders."""
    layout = layout_of(size)
    start = data.draw(st.integers(0, size - 1))
    stop = data.draw(st.integers(start, size))
    found = layout.at(start)
    assert found.start <= start < found.stop
    covering = layout.covering(start, stop)
    expected = [each for each in layout.segments if each.start < stop and start < each.stop]
    assert list(covering) == (expected if stop > start else [])


@given(residents, st.sets(st.integers(0, 30)), st.integers(-10, 2000))
def test_evicting_frees_enough_from_the_oldest_on_and_spares_the_pinned(
    blobs: dict[Digest, Resident], pins: set[int], needed: int
) -> None:
    """Enough is freed, or nothing can be; no victim is pinned; none is younger than a survivor."""
    pinned = {Digest(f"sha256:{n:064x}") for n in pins}
    free = {digest: each for digest, each in blobs.items() if digest not in pinned}
    chosen = victims(blobs, pinned, needed)
    if chosen is None:
        assert sum(each.size for each in free.values()) < needed
        return
    assert len(set(chosen)) == len(chosen)
    assert set(chosen) <= free.keys()
    assert sum(blobs[digest].size for digest in chosen) >= max(0, needed)
    assert sum(blobs[digest].size for digest in chosen[:-1]) < max(1, needed)
    youngest = max((blobs[digest].used for digest in chosen), default=0)
    assert all(blobs[each].used >= youngest for each in free.keys() - set(chosen))
