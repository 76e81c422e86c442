"""Byte ranges, case by case (RFC 9110 section 14, OCI conformance suite)."""

from __future__ import annotations

import pytest

from eagle_node.base.ranges import (
    MOST_RANGES,
    ByteRange,
    TooManyRanges,
    Unsatisfiable,
    resolve_range,
    resolve_ranges,
)

HUGE = "9" * 5000


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=500-1499", 500, 1500),
        ("bytes=500-", 500, 3000),
        ("bytes=-500", 2500, 3000),
        ("bytes=2000-5000", 2000, 3000),
        ("bytes=0-", 0, 3000),
        ("bytes=0-0", 0, 1),
        ("bytes=2999-2999", 2999, 3000),
        ("bytes=-5000", 0, 3000),
        ("Bytes = 1 - 2 ", 1, 3),
        (f"bytes=10-{HUGE}", 10, 3000),
        (f"bytes=-{HUGE}", 0, 3000),
        ("bytes=00000000000000000000000000005-6", 5, 7),
    ],
)
def test_a_satisfiable_range_is_cut_to_the_content(header: str, start: int, stop: int) -> None:
    """First, last, suffix and clamped forms of a 3000-byte blob."""
    assert resolve_range(header, 3000) == ByteRange(start, stop)


@pytest.mark.parametrize(
    "header",
    [
        "bytes=3000-",
        "bytes=3000-4000",
        "bytes=-0",
        f"bytes={HUGE}-",
        "bytes=3000-,-0,4000-5000",
    ],
)
def test_a_range_without_a_byte_is_unsatisfiable(header: str) -> None:
    """416: well-formed, but nothing to send."""
    with pytest.raises(Unsatisfiable):
        resolve_range(header, 3000)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=5-4",
        "bytes=0-1,x",
        "bytes=,",
        "bytes=0-1;3-4",
        "items=0-1",
        "bytes=+1-2",
        "bytes=1-2-3",
        "bytes=\u0661-\u0662",
        "bytes=0x1-0x2",
    ],
)
def test_what_is_malformed_is_ignored(header: str | None) -> None:
    """RFC 9110 14.2: then the answer is the whole, as a 200."""
    assert resolve_range(header, 3000) is None
    assert resolve_ranges(header, 3000) is None


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-1,5-6", [(0, 2), (5, 7)]),
        ("bytes=5-6, 0-1", [(0, 2), (5, 7)]),
        ("bytes=0-1,,5-6,", [(0, 2), (5, 7)]),
        ("bytes=0-,5-6", [(0, 3000)]),
        ("bytes=0-9,5-19,20-29", [(0, 30)]),
        ("bytes=0-1,-2,2999-2999", [(0, 2), (2998, 3000)]),
        ("bytes=0-1,3000-4000", [(0, 2)]),
        ("bytes=7-7,7-7,7-7", [(7, 8)]),
    ],
)
def test_a_list_is_in_order_with_each_byte_once(
    header: str, expected: list[tuple[int, int]]
) -> None:
    """What overlaps or touches is joined, what lies beyond the end is passed over."""
    assert resolve_ranges(header, 3000) == tuple(ByteRange(*each) for each in expected)


def test_a_list_is_bounded() -> None:
    """A server that takes lists of any length can be made to work without end."""
    many = [f"{2 * n}-{2 * n}" for n in range(MOST_RANGES + 1)]
    assert len(resolve_ranges("bytes=" + ",".join(many[1:]), 3000) or ()) == MOST_RANGES
    with pytest.raises(TooManyRanges):
        resolve_ranges("bytes=" + ",".join(many), 3000)


@pytest.mark.parametrize("header", ["bytes=0-1,3-4", "bytes=" + "0-0,9-9," * MOST_RANGES])
def test_who_does_single_ranges_only_ignores_a_list(header: str) -> None:
    """The whole is a correct answer to it."""
    assert resolve_range(header, 3000) is None


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=5-9", "bytes=-1"])
def test_of_an_empty_blob_there_is_only_the_whole(header: str) -> None:
    """containerd 2.1 puts ``bytes=0-`` on every GET; an empty blob is no reason to refuse it."""
    assert resolve_range(header, 0) is None
