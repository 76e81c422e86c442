"""Archives that depend on what is in them, and on nothing else."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from eagle_packaging.archive import gzipped, tree, write_tar, write_zip

EPOCH = 1_700_000_000


def made(directory: Path, *, mtime: int, order: list[str]) -> Path:
    """A directory with the same content, made at another time in another order."""
    for name in order:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
        path.chmod(0o775 if name == "b/run" else 0o600)
        os.utime(path, (mtime, mtime))
    (directory / "link").symlink_to("b/run")
    return directory


def test_tar_files_of_the_same_content_are_the_same(tmp_path: Path) -> None:
    """Dates, order of creation and modes of the building user leave no trace."""
    one = made(tmp_path / "one", mtime=1, order=["a", "b/run", "c/d/e"])
    two = made(tmp_path / "two", mtime=2, order=["c/d/e", "b/run", "a"])
    first = write_tar(tree(one), epoch=EPOCH)
    assert first == write_tar(tree(two), epoch=EPOCH)
    assert gzipped(first) == gzipped(first)


def test_tar_files_have_root_own_what_nobody_else_does(tmp_path: Path) -> None:
    """Owner, mode, date and kind of each member; directories come before what they hold."""
    source = made(tmp_path, mtime=1, order=["a", "b/run"])
    made_empty: list[tuple[str, Path | bytes | str]] = [("home/me/", b""), ("tmp/", b"")]
    files = [*tree(source, "usr/"), *made_empty]
    content = write_tar(files, epoch=EPOCH, owned={"home/me": 7})
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        members = {member.name: member for member in archive}
    assert list(members) == [
        *("home", "home/me", "tmp", "usr", "usr/a", "usr/b", "usr/b/run", "usr/link"),
    ]
    assert {member.mtime for member in members.values()} == {EPOCH}
    assert {name for name, member in members.items() if member.uid} == {"home/me"}
    assert members["usr/a"].mode == 0o644
    assert members["usr/b/run"].mode == 0o755
    assert members["tmp"].mode == 0o1777
    assert members["usr/link"].linkname == "b/run"


def test_zip_files_of_the_same_content_are_the_same(tmp_path: Path) -> None:
    """The order of the mapping does not matter, and the head stays in front."""
    files: dict[str, Path | bytes] = {"a": b"1", "b/c": b"2"}
    write_zip(tmp_path / "one", files, epoch=EPOCH, head=b"#!x\n")
    write_zip(tmp_path / "two", dict(reversed(files.items())), epoch=EPOCH, head=b"#!x\n")
    content = (tmp_path / "one").read_bytes()
    assert content == (tmp_path / "two").read_bytes()
    assert content.startswith(b"#!x\n")
    assert os.access(tmp_path / "one", os.X_OK)
    with zipfile.ZipFile(tmp_path / "one") as archive:
        assert archive.read("b/c") == b"2"


@pytest.mark.parametrize("epoch", [0, 315532800])
def test_zip_files_know_no_date_before_1980(tmp_path: Path, epoch: int) -> None:
    """An older date becomes the oldest that the format has."""
    write_zip(tmp_path / "zip", {"a": b""}, epoch=epoch)
    with zipfile.ZipFile(tmp_path / "zip") as archive:
        assert archive.getinfo("a").date_time == (1980, 1, 1, 0, 0, 0)
