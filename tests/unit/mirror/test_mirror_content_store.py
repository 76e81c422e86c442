"""Where containerd's content store is, and what lies in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from eagle_node.base.digest import Digest, digest_of
from eagle_node.mirror.content_store import (
    ROOT,
    STORE,
    Unreadable,
    blobs_directory,
    configured_root,
    look,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """containerd's root, with an empty store."""
    (tmp_path / STORE / "blobs" / "sha256").mkdir(parents=True)
    (tmp_path / STORE / "ingest").mkdir()
    return tmp_path


def put(root: Path, data: bytes) -> Digest:
    """A blob, as containerd places it."""
    digest = digest_of(data)
    (blobs_directory(root) / digest.removeprefix("sha256:")).write_bytes(data)
    return digest


def test_root_and_store_lead_to_the_same_blobs(root: Path) -> None:
    """People give the one or the other."""
    assert blobs_directory(root) == blobs_directory(root / STORE)


def test_what_is_no_store_is_named_with_the_way_out(tmp_path: Path) -> None:
    """Missing, empty, or no directory at all."""
    (tmp_path / "file").touch()
    for name, text in (("missing", "is not there"), ("file", "is no directory")):
        with pytest.raises(Unreadable, match=f"{name} {text}.*--containerd-content"):
            blobs_directory(tmp_path / name)
    with pytest.raises(Unreadable, match=r"holds no content store.*--containerd-content"):
        blobs_directory(tmp_path)


def test_only_blobs_count(root: Path) -> None:
    """No links, no directories, no names that are no digest, nothing that is still arriving."""
    digest, directory = put(root, b"blob"), blobs_directory(root)
    (directory / "README").write_text("no blob")
    (directory / ("0" * 64)).symlink_to(directory / digest.removeprefix("sha256:"))
    (directory / ("1" * 64)).mkdir()
    os.mkfifo(directory / ("2" * 64))
    found = look(root, None, thorough=True)
    assert [*found.files] == [digest]
    assert found.files[digest].size == 4


def test_a_directory_that_has_not_changed_is_not_listed_again(root: Path) -> None:
    """But for once: another change may have come within the same tick of the clock."""
    put(root, b"one")
    first = look(root, None, thorough=False)
    second = look(root, first, thorough=False)
    assert (first.settled, second.settled) == (False, True)
    assert look(root, second, thorough=False) is second
    put(root, b"two")
    third = look(root, second, thorough=False)
    assert len(third.files) == 2


def test_known_files_are_looked_at_again_only_by_a_thorough_look(root: Path) -> None:
    """One that was replaced is another inode, and found at once."""
    digest = put(root, b"one")
    first = look(root, None, thorough=False)
    path = first.directory / digest.removeprefix("sha256:")
    path.write_bytes(b"other")
    assert look(root, first, thorough=False).files[digest] == first.files[digest]
    thorough = look(root, first, thorough=True)
    assert thorough.files[digest].size == 5
    path.rename(path.with_name("aside"))
    path.write_bytes(b"new one")
    assert look(root, thorough, thorough=False).files[digest].size == 7


def test_the_root_is_what_containerds_configuration_says(tmp_path: Path) -> None:
    """Its own default where that says nothing, or nothing that can be read."""
    config = tmp_path / "config.toml"
    assert configured_root(config) == ROOT
    config.write_text('version = 2\nroot = "/data/containerd"\n')
    assert configured_root(config) == Path("/data/containerd")
    config.write_text("version = 2\n")
    assert configured_root(config) == ROOT
    config.write_text("no toml [")
    assert configured_root(config) == ROOT
