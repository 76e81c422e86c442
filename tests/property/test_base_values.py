"""Laws of the values that every floor shares."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import example, given
from hypothesis import strategies as st

from eagle_node.base.digest import digest_of, parse_digest
from eagle_node.base.errors import BadDigest
from eagle_node.base.ranges import Unsatisfiable, resolve_range
from eagle_node.base.sizes import format_size, parse_size

sizes = st.integers(0, 1 << 50)
numbers = st.integers(0, 1 << 80).map(str) | st.just("")
ranges = st.builds("bytes={}-{}".format, numbers, numbers)


@given(ranges | st.text(max_size=40) | st.from_regex(r"bytes=[0-9,\- ]{0,12}"), sizes)
@example("bytes=-0", 1)
@example("bytes=0-", 0)
def test_no_range_reaches_outside_of_the_content(header: str, size: int) -> None:
    """Whatever a client sends, the bytes that it gets exist, and a 206 holds at least one."""
    with suppress(Unsatisfiable):
        wanted = resolve_range(header, size)
        assert wanted is None or 0 <= wanted.start < wanted.stop <= size


@given(st.integers(1, 10_000), st.data())
def test_a_range_means_its_first_and_last_byte(size: int, data: st.DataObject) -> None:
    """``a-b`` is the slice ``[a, b + 1)`` of the content."""
    first = data.draw(st.integers(0, size - 1))
    last = data.draw(st.integers(first, size + 5))
    wanted = resolve_range(f"bytes={first}-{last}", size)
    assert wanted is not None
    content = range(size)
    assert content[wanted.start : wanted.stop] == content[first : last + 1]


@given(st.binary(max_size=100))
def test_digests_survive_parsing(content: bytes) -> None:
    """What `digest_of` gives is a digest."""
    assert parse_digest(digest_of(content)) == digest_of(content)


@given(st.text(max_size=90) | st.from_regex(r"sha256:[0-9a-fA-F]{60,68}"))
def test_what_parses_is_a_digest_to_the_letter(text: str) -> None:
    """A parsed digest is safe as a file name and equal to what was parsed."""
    with suppress(BadDigest):
        parsed = parse_digest(text)
        assert parsed == text
        assert len(parsed) == 71
        assert not set(parsed[7:]) - set("0123456789abcdef")


@given(sizes, st.sampled_from(["", "K", "M", "G", "T"]))
def test_a_binary_size_is_its_number_times_a_power_of_1024(number: int, unit: str) -> None:
    """Exact for every whole number, with or without ``iB``."""
    count = number << 10 * ["", "K", "M", "G", "T"].index(unit)
    assert parse_size(f"{number}{unit}") == count
    assert not unit or parse_size(f"{number}{unit}iB") == count


@given(sizes)
def test_a_shown_size_is_near_the_real_one(count: int) -> None:
    """One decimal: at most 1/20 of a unit off."""
    shown = parse_size(format_size(count))
    assert abs(shown - count) <= max(1, count) * 0.051


@given(st.text(max_size=30))
def test_no_text_makes_the_size_parser_fail_in_another_way(text: str) -> None:
    """A size is a number of bytes or a `ValueError`."""
    with suppress(ValueError):
        assert parse_size(text) >= 0
