"""How a difference of two builds is told."""

from __future__ import annotations

from pathlib import Path

from eagle_packaging.archive import write_tar, write_zip
from eagle_packaging.difference import MOST_LINES, difference
from eagle_packaging.twice import table


def test_the_same_bytes_are_no_difference(tmp_path: Path) -> None:
    """Two files count, not their names and dates."""
    for name in ("one", "another"):
        (tmp_path / name).write_bytes(b"same")
    assert difference(tmp_path / "one", tmp_path / "another") == ""


def test_members_are_named(tmp_path: Path) -> None:
    """Of archives that differ the members are told that do, and which only one has."""
    one, another = tmp_path / "one.zip", tmp_path / "another.zip"
    write_zip(one, {"a": b"1", "b": b"2", "c": b"3"}, epoch=0)
    write_zip(another, {"a": b"1", "b": b"x", "d": b"4"}, epoch=0)
    assert difference(one, another).splitlines() == [
        *("b", "c (in one build only)", "d (in one build only)"),
    ]
    first, second = tmp_path / "one.tar", tmp_path / "another.tar"
    first.write_bytes(write_tar([("x/a", b"1")], epoch=1))
    second.write_bytes(write_tar([("x/a", b"1")], epoch=2))
    assert difference(first, second).splitlines() == ["x", "x/a"]


def test_many_members_are_cut_off(tmp_path: Path) -> None:
    """One cause that shows in every file does not fill the screen."""
    for name, content in (("one", b"1"), ("another", b"2")):
        write_zip(tmp_path / name, {str(number): content for number in range(99)}, epoch=0)
    told = difference(tmp_path / "one", tmp_path / "another")
    assert len(told.splitlines()) == MOST_LINES


def test_other_files_are_told_by_their_bytes(tmp_path: Path) -> None:
    """The first byte that differs, or how much longer one is."""
    contents = {"a": b"abc", "b": b"abx", "c": b"abcde"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    assert difference(tmp_path / "a", tmp_path / "b") == "from byte 2 on"
    assert difference(tmp_path / "a", tmp_path / "c") == "2 bytes at the end"
    assert difference(tmp_path / "a", tmp_path / "missing") == "was built once only"


def test_the_table_has_a_line_for_each_file(tmp_path: Path) -> None:
    """Word, size, hash and name; what differs stands below."""
    told = {tmp_path / "one": "", tmp_path / "other": "from byte 2 on"}
    for path in told:
        path.write_bytes(b"abc")
    assert table(told).splitlines() == [
        "identical            3  ba7816bf8f01cfea  one",
        "different            3  ba7816bf8f01cfea  other",
        "           from byte 2 on",
    ]
