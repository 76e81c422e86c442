"""The cache's files on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eagle_node.base.digest import Digest, digest_hex, digest_of
from eagle_node.blobs.files import BlobDirectory, blob_directory, scan
from eagle_node.blobs.segments import LAYOUT_VERSION, layout_of
from tests.unit.blobs.builders import MIB, content

SIZE = 2 * MIB + 5
DATA = content(SIZE)


@pytest.fixture
def directory(tmp_path: Path) -> BlobDirectory:
    """A blob with all segments and no marker."""
    made = blob_directory(tmp_path, digest_of(DATA))
    made.path.mkdir(parents=True)
    for segment in layout_of(SIZE).segments:
        made.segment(segment.index).write_bytes(DATA[segment.start : segment.stop])
    return made


def names(directory: BlobDirectory) -> set[str]:
    return {path.name for path in directory.path.iterdir()}


def test_a_blob_is_visible_from_its_marker_on(directory: BlobDirectory) -> None:
    """The marker comes by a rename and leaves no part behind."""
    assert directory.committed_size() is None
    directory.commit(SIZE, b"le")
    assert directory.committed_size() == SIZE
    segments = {directory.segment(each.index).name for each in layout_of(SIZE).segments}
    assert names(directory) == {"whole", "torrents", *segments}
    directory.withdraw()
    assert directory.committed_size() is None


def test_a_half_written_marker_is_none(directory: BlobDirectory) -> None:
    """What a crash leaves of a marker is another name, or no JSON of ours."""
    (directory.path / "whole.part").write_bytes(b'{"size": ')
    assert directory.committed_size() is None
    for text in ('{"size": ', "[]", "7", "{}", '{"size": "7", "layout": 1}', '{"size": -1}'):
        (directory.path / "whole").write_text(text)
        assert directory.committed_size() is None
        assert directory.outdated_size() is None


@pytest.mark.parametrize("size", [-1, 1 << 62, SIZE + 1, SIZE - 1, True, 1.5])
def test_a_marker_of_another_size_is_not_believed(directory: BlobDirectory, size: object) -> None:
    """The segments' lengths have to add up."""
    marker = {"size": size, "layout": LAYOUT_VERSION}
    (directory.path / "whole").write_text(json.dumps(marker))
    assert directory.committed_size() is None


def test_a_blob_of_another_layout_is_not_visible(directory: BlobDirectory) -> None:
    """Its files would be cut in other places."""
    marker = {"size": SIZE, "layout": LAYOUT_VERSION + 1}
    (directory.path / "whole").write_text(json.dumps(marker))
    assert (directory.committed_size(), directory.outdated_size()) == (None, SIZE)
    directory.commit(SIZE, b"le")
    assert (directory.committed_size(), directory.outdated_size()) == (SIZE, None)


@pytest.mark.parametrize("index", range(3))
def test_a_truncated_or_missing_segment_hides_the_blob(
    directory: BlobDirectory, index: int
) -> None:
    """A marker is worth nothing without every byte."""
    directory.commit(SIZE, b"le")
    path = directory.segment(index)
    path.write_bytes(path.read_bytes()[:-1])
    assert directory.committed_size() is None
    path.unlink()
    assert directory.committed_size() is None


def test_an_empty_blob_is_a_marker_alone(tmp_path: Path) -> None:
    """It has no segments to lack."""
    directory = blob_directory(tmp_path, digest_of(b""))
    directory.path.mkdir(parents=True)
    assert directory.committed_size() is None
    directory.commit(0, b"le")
    assert directory.committed_size() == 0


def test_pruning_leaves_the_intact_segments_that_were_named(directory: BlobDirectory) -> None:
    """Marker, torrents, partial and foreign files go; what is shorter than it should be as well."""
    directory.commit(SIZE, b"le")
    (directory.path / "strange").mkdir()
    directory.segment(1).write_bytes(b"short")
    assert directory.prune(SIZE, [0, 1, 99]) == {0}
    assert names(directory) == {directory.segment(0).name}


def test_scanning_passes_over_what_is_not_ours(tmp_path: Path, directory: BlobDirectory) -> None:
    """Foreign files and directories in the cache are neither blobs nor errors."""
    (tmp_path / "aa").write_text("a file where a shelf could be")
    (tmp_path / "lost+found").mkdir()
    (directory.path.parent / "notes").mkdir()
    assert [each.digest for each in scan(tmp_path)] == [directory.digest]


def test_removing_takes_everything(directory: BlobDirectory) -> None:
    """And is harmless when repeated."""
    directory.commit(SIZE, b"le")
    directory.remove()
    directory.remove()
    assert not directory.path.exists()


def test_names_carry_the_digest_and_the_number() -> None:
    """The same names in the swarm as on disk."""
    digest = Digest("sha256:" + "ab" * 32)
    path = blob_directory(Path("/cache"), digest).segment(7)
    assert path == Path("/cache/ab") / digest_hex(digest) / f"{digest_hex(digest)}.0007"
