"""Metainfo of segments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest

from eagle_node.base.digest import digest_of
from eagle_node.base.errors import Unavailable, WrongContent
from eagle_node.blobs.files import BlobDirectory, blob_directory
from eagle_node.blobs.segments import layout_of
from eagle_node.swarm.merkle import leaf_hashes
from eagle_node.swarm.torrents import (
    SegmentTorrent,
    assemble_torrent,
    make_torrent,
    make_whole_torrent,
    pack_torrents,
    parse_torrent,
    rooted_torrent,
    unpack_torrents,
    with_layer,
)
from tests.unit.blobs.builders import MIB, content

SIZE = 20 * MIB + 77
DATA = content(SIZE)
LAYOUT = layout_of(SIZE)
DIGEST = digest_of(DATA)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> BlobDirectory:
    return write(tmp_path_factory.mktemp("cache"))


def write(root: Path) -> BlobDirectory:
    """All segments of the blob on disk."""
    made = blob_directory(root, DIGEST)
    made.path.mkdir(parents=True)
    for segment in LAYOUT.segments:
        made.segment(segment.index).write_bytes(DATA[segment.start : segment.stop])
    return made


def decoded(torrent: SegmentTorrent) -> dict[bytes, Any]:
    content: Any = lt.bdecode(torrent.metainfo)
    return dict(content)


def encoded(content: Any) -> bytes:
    return bytes(lt.bencode(content))


def test_the_same_bytes_make_the_same_metainfo(directory: BlobDirectory, tmp_path: Path) -> None:
    """On every node, so that any holder can make it again."""
    elsewhere = write(tmp_path)
    for segment in LAYOUT.segments:
        assert make_torrent(directory, segment) == make_torrent(elsewhere, segment)


def test_a_segment_is_a_private_v2_torrent_of_one_file(directory: BlobDirectory) -> None:
    """BEP 52 only, BEP 27; no creation date, no tracker; named by digest and number."""
    torrent = make_torrent(directory, LAYOUT.segments[3])
    content = decoded(torrent)
    info = content[b"info"]
    assert set(content) <= {b"info", b"piece layers"}
    assert (info[b"private"], info[b"meta version"]) == (1, 2)
    assert b"pieces" not in info
    assert torrent.name == f"{DIGEST[7:]}.0003"
    assert list(info[b"file tree"]) == [torrent.name.encode()]
    assert len(torrent.info_hash) == 20


def test_made_metainfo_is_accepted(directory: BlobDirectory) -> None:
    """What one node makes another one parses to the same value."""
    for segment in LAYOUT.segments:
        made = make_torrent(directory, segment)
        assert parse_torrent(made.metainfo, DIGEST, segment) == made


@pytest.mark.parametrize("size", [1, 16 << 10, (16 << 10) + 1, 300_000, SIZE, 40 * MIB + 5])
def test_its_root_makes_a_torrent_and_its_blocks_complete_it(tmp_path: Path, size: int) -> None:
    """The root is all that seeders tell; what was fetched is then offered as where it was made."""
    data = content(size)
    directory = blob_directory(tmp_path, digest_of(data))
    directory.path.mkdir(parents=True)
    for segment in layout_of(size).segments:
        directory.segment(segment.index).write_bytes(data[segment.start : segment.stop])
        for root in (b"", b"PEM"):
            made = make_torrent(directory, segment, root_certificate=root)
            fetched = rooted_torrent(made.root, directory.digest, segment, root_certificate=root)
            assert fetched.info_hash == made.info_hash
            assert fetched.has_layer == (segment.length <= segment.piece_length)
            leaves = leaf_hashes(memoryview(data)[segment.start : segment.stop])
            assert with_layer(fetched, leaves) == made


def test_hashes_of_other_bytes_do_not_complete_a_torrent(directory: BlobDirectory) -> None:
    """A node never offers what nobody could verify."""
    segment = LAYOUT.segments[0]
    fetched = rooted_torrent(make_torrent(directory, segment).root, DIGEST, segment)
    leaves = leaf_hashes(memoryview(DATA)[segment.start : segment.stop])
    for wrong in ([], leaves[:-1], [*leaves[:-1], bytes(32)]):
        with pytest.raises(WrongContent, match="are not those of"):
            with_layer(fetched, wrong)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_root_that_is_no_hash_is_refused(length: int) -> None:
    """A stranger's word is checked before anything is made of it."""
    with pytest.raises(WrongContent, match="not the root"):
        rooted_torrent(bytes(length), DIGEST, LAYOUT.segments[0])


def test_metainfo_without_the_hashes_of_pieces_is_not_kept(directory: BlobDirectory) -> None:
    """A node that has started again could not serve by it."""
    segment = LAYOUT.segments[0]
    fetched = rooted_torrent(make_torrent(directory, segment).root, DIGEST, segment)
    with pytest.raises(WrongContent):
        parse_torrent(fetched.metainfo, DIGEST, segment)


@pytest.mark.parametrize("length", [0, 31, 33, 32 * 17])
def test_hashes_of_another_number_of_pieces_are_refused(length: int) -> None:
    """A stranger's word is checked before anything is made of it."""
    with pytest.raises(WrongContent, match="not the piece hashes"):
        assemble_torrent(bytes(length), DIGEST, LAYOUT.segments[0])


def test_metainfo_of_another_segment_or_blob_is_refused(directory: BlobDirectory) -> None:
    """A seeder cannot make a node write one thing under another one's name."""
    first, second = (make_torrent(directory, segment) for segment in LAYOUT.segments[:2])
    with pytest.raises(WrongContent):
        parse_torrent(first.metainfo, DIGEST, second.segment)
    with pytest.raises(WrongContent):
        parse_torrent(first.metainfo, digest_of(b"other"), first.segment)


@pytest.mark.parametrize(
    "changes",
    [
        {b"private": 0},
        {b"piece length": 32 << 10},
        {b"name": b"../../etc/passwd"},
        {b"meta version": 1},
        {b"pieces": bytes(20)},
        {b"length": MIB},
        {b"source": b"elsewhere"},
        {b"file tree": {b"..": {b"": {b"length": MIB, b"pieces root": bytes(32)}}}},
        {b"file tree": {}},
        {b"file tree": {b"a": b"b"}},
        {b"file tree": {b"a": {b"": {}}}},
        {b"ssl-cert": b"a certificate"},
    ],
)
def test_any_other_form_is_refused(directory: BlobDirectory, changes: dict[bytes, Any]) -> None:
    """Names with paths, v1 parts, other piece lengths, additions: all refused before libtorrent."""
    torrent = make_torrent(directory, LAYOUT.segments[0])
    content = decoded(torrent)
    content[b"info"] |= changes
    with pytest.raises(WrongContent):
        parse_torrent(encoded(content), DIGEST, torrent.segment)


@pytest.mark.parametrize(
    "metainfo", [b"", b"i1e", b"le", b"d4:infoi1ee", b"not bencoded", b"d" * 100_000]
)
def test_bytes_that_are_no_metainfo_are_refused(metainfo: bytes) -> None:
    """Whatever a stranger sends is an error of ours."""
    with pytest.raises(WrongContent):
        parse_torrent(metainfo, DIGEST, LAYOUT.segments[0])


def test_trackers_that_a_stranger_names_are_refused(directory: BlobDirectory) -> None:
    """libtorrent would announce to them: metainfo is a hash and nothing else."""
    torrent = make_torrent(directory, LAYOUT.segments[0])
    for key, value in ((b"announce", b"http://192.0.2.1/"), (b"url-list", [b"http://192.0.2.1/"])):
        content = decoded(torrent) | {key: value}
        with pytest.raises(WrongContent):
            parse_torrent(encoded(content), DIGEST, torrent.segment)


def test_an_ssl_torrent_is_accepted_only_with_the_clusters_certificate(
    directory: BlobDirectory,
) -> None:
    """The certificate is part of the info-hash: plain and foreign ones are other torrents."""
    segment = LAYOUT.segments[0]
    plain = make_torrent(directory, segment)
    secured = make_torrent(directory, segment, root_certificate=b"PEM")
    assert plain.info_hash != secured.info_hash
    assert parse_torrent(secured.metainfo, DIGEST, segment, root_certificate=b"PEM") == secured
    for metainfo, root in (
        (plain.metainfo, b"PEM"),
        (secured.metainfo, b""),
        (secured.metainfo, b"P"),
    ):
        with pytest.raises(WrongContent):
            parse_torrent(metainfo, DIGEST, segment, root_certificate=root)


def test_a_file_that_is_missing_cannot_be_hashed(directory: BlobDirectory) -> None:
    """`Unavailable`, not libtorrent's own error."""
    nowhere = BlobDirectory(directory.path / "nowhere", DIGEST)
    with pytest.raises(Unavailable, match="cannot hash"):
        make_torrent(nowhere, LAYOUT.segments[0])
    with pytest.raises(Unavailable, match="cannot hash"):
        make_whole_torrent(nowhere, LAYOUT, [])


def test_metainfo_is_kept_as_a_list(directory: BlobDirectory) -> None:
    """What is damaged is no list, and is made again."""
    torrents = [make_torrent(directory, segment) for segment in LAYOUT.segments]
    assert unpack_torrents(pack_torrents(torrents)) == [each.metainfo for each in torrents]
    assert unpack_torrents(pack_torrents([])) == []
    for damaged in (b"", b"garbage", b"de", pack_torrents(torrents)[:-1]):
        assert unpack_torrents(damaged) == []


def test_the_torrent_of_the_whole_is_deterministic_too(
    directory: BlobDirectory, tmp_path: Path
) -> None:
    """Its files are the segments, in order."""
    made = make_whole_torrent(directory, LAYOUT, ["http://192.0.2.1/announce"])
    assert made == make_whole_torrent(write(tmp_path), LAYOUT, ["http://192.0.2.1/announce"])
    content: Any = lt.bdecode(made[1])
    files = content[b"info"][b"file tree"]
    lengths = [files[name][b""][b"length"] for name in sorted(files)]
    assert lengths == [segment.length for segment in LAYOUT.segments]


@pytest.mark.parametrize("root_certificate", [b"", b"PEM"])
@pytest.mark.parametrize(
    "trackers", [[], ["http://192.0.2.1/a"], ["http://192.0.2.1/a", "udp://b"]]
)
def test_the_torrent_of_the_whole_is_libtorrents_own(
    directory: BlobDirectory, trackers: list[str], root_certificate: bytes
) -> None:
    """Byte by byte, but for its date; it is hashed here so that other threads go on."""
    folder = directory.path.name
    creator = lt.create_torrent(
        [
            lt.create_file_entry(f"{folder}/{directory.segment(each.index).name}", each.length)
            for each in LAYOUT.segments
        ],
        max(segment.piece_length for segment in LAYOUT.segments),
        lt.create_torrent.v2_only,
    )
    creator.set_priv(True)
    if root_certificate:
        creator.set_root_cert(root_certificate.decode())
    for tier, url in enumerate(trackers):
        creator.add_tracker(url, tier)
    lt.set_piece_hashes(creator, str(directory.path.parent))
    theirs: Any = creator.generate()
    del theirs[b"creation date"]
    _, ours = make_whole_torrent(directory, LAYOUT, trackers, root_certificate=root_certificate)
    assert ours == lt.bencode(theirs)


def test_there_is_no_torrent_of_nothing(directory: BlobDirectory) -> None:
    """An empty blob is served without one."""
    with pytest.raises(Unavailable, match="empty"):
        make_whole_torrent(directory, layout_of(0), [])
