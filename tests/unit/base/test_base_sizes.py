"""Rules of sizes and rates."""

from __future__ import annotations

import pytest

from eagle_node.base.sizes import format_size, parse_size, spell_size

MIB = 1 << 20


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("500000", 500_000),
        ("50M", 50 * MIB),
        ("50m", 50 * MIB),
        ("50MiB", 50 * MIB),
        ("50MB", 50_000_000),
        ("50 mb/s", 50_000_000),
        ("1.5K", 1536),
        ("100G", 100 << 30),
        ("1T", 1 << 40),
        ("12B", 12),
        (" 7 ", 7),
        ("9007199254740993", 9_007_199_254_740_993),
        ("0.1MB", 100_000),
        ("0.3KB", 300),
    ],
)
def test_units_count_by_1024_unless_written_with_a_plain_b(text: str, count: int) -> None:
    """``50M`` and ``50MiB`` are powers of 1024, ``50MB`` of 1000; numbers are exact."""
    assert parse_size(text) == count


@pytest.mark.parametrize(
    "text",
    [
        "",
        "M",
        "-1",
        "1e6",
        "50X",
        "50iB",
        "50Mb/h",
        "5 0M",
        "1,5M",
        ".5M",
        "1.M",
        "\u0665M",
        "inf",
        "nan",
        "9" * 400,
        "9" * 5000,
    ],
)
def test_anything_else_is_refused_with_the_accepted_forms(text: str) -> None:
    """Garbage and absurd numbers are a `ValueError` that shows how to write it."""
    with pytest.raises(ValueError, match="50MiB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (3 << 30, "3.0 GiB"),
        (2 << 50, "2048.0 TiB"),
    ],
)
def test_sizes_are_shown_by_1024(count: int, text: str) -> None:
    """People read one decimal and a binary unit."""
    assert format_size(count) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (50_000_000, "50MB"),
        (50 << 20, "50MiB"),
        (20 << 30, "20GiB"),
        (1536, "1536"),
        (64_000, "64kB"),
        (1_234_567, "1234567"),
        (3 << 40, "3TiB"),
    ],
)
def test_sizes_are_spelt_as_options_take_them(count: int, text: str) -> None:
    """Exactly: what is shown can be given back."""
    assert spell_size(count) == text
    assert parse_size(text) == count
