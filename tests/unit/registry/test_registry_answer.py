"""Which answers to a blob request are believed."""

from __future__ import annotations

import pytest

from eagle_node.base.errors import Unavailable
from eagle_node.registry.answer import Asked, refuse_disguise, whole_size


def size_of(asked: Asked, status: int, **headers: str) -> int | None:
    """The size that an answer tells."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return whole_size(asked, status, named, source="it", subject="blob")


@pytest.mark.parametrize(
    ("start", "stop", "header"),
    [(0, None, None), (5, None, "bytes=5-"), (0, 10, "bytes=0-9"), (5, 6, "bytes=5-5")],
)
def test_an_interval_is_asked_for_by_its_last_byte(
    start: int, stop: int | None, header: str | None
) -> None:
    """Half-open here, inclusive on the wire; the whole blob needs no range."""
    assert Asked(start=start, stop=stop).header() == header


def test_an_empty_interval_cannot_be_asked_for() -> None:
    """HTTP has no spelling for it."""
    for start, stop in ((3, 3), (4, 2), (-1, None)):
        with pytest.raises(ValueError, match="no range"):
            Asked(start=start, stop=stop)


def test_a_whole_answer_serves_ranges_from_the_start_only() -> None:
    """The reader stops early; but it does not read, and throw away, what comes before."""
    assert size_of(Asked(start=0, stop=10), 200, Content_Length="100") == 100
    assert size_of(Asked(start=0, stop=None), 200) is None
    with pytest.raises(Unavailable, match="does not do ranges"):
        size_of(Asked(start=5, stop=10), 200, Content_Length="100")


@pytest.mark.parametrize(
    "content_range",
    ["", "bytes 5-9/*", "bytes */100", "bytes 0-4/100", "bytes 5-8/100", "bytes 5-10/100", "x"],
)
def test_a_partial_answer_is_the_part_that_was_asked_for(content_range: str) -> None:
    """Other offsets, or an unknown size, would splice wrong bytes."""
    asked = Asked(start=5, stop=10)
    assert size_of(asked, 206, Content_Range="bytes 5-9/100", Content_Length="5") == 100
    with pytest.raises(Unavailable):
        size_of(asked, 206, Content_Range=content_range)


def test_a_partial_answer_must_agree_with_its_length() -> None:
    """Content-Length and Content-Range count the same bytes."""
    with pytest.raises(Unavailable):
        size_of(Asked(start=5, stop=10), 206, Content_Range="bytes 5-9/100", Content_Length="6")


def test_an_unasked_partial_answer_is_refused() -> None:
    """A 206 to a plain GET is not the blob."""
    with pytest.raises(Unavailable, match="without a range"):
        size_of(Asked(start=0, stop=None), 206, Content_Range="bytes 0-9/10")


def test_a_range_that_reaches_over_the_end_is_clamped() -> None:
    """RFC 9110 14.1.2: the last byte is the end of the representation."""
    assert size_of(Asked(start=5, stop=99), 206, Content_Range="bytes 5-9/10") == 10


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"Content-Type": "text/html; charset=utf-8"}, "web page"),
        ({"Content-Type": "TEXT/HTML"}, "web page"),
        ({"Content-Encoding": "gzip"}, "Content-Encoding gzip"),
    ],
)
def test_a_success_in_disguise_is_seen_through(headers: dict[str, str], reason: str) -> None:
    """Login pages and transfer codings come with status 200 as well."""
    refuse_disguise({"Content-Type": "application/octet-stream"}, source="it", subject="blob")
    with pytest.raises(Unavailable, match=reason):
        refuse_disguise(headers, source="it", subject="blob")
