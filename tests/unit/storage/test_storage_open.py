"""Storage URLs: what opens, and what the error says when it does not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from eagle_node.base.errors import UsageError
from eagle_node.storage.interface import check_name
from eagle_node.storage.obstore_driver import ObstoreStorage
from eagle_node.storage.open import known_schemes, open_storage
from eagle_node.storage.store_urls import BucketUrl, parse_bucket_url, parse_file_url


@pytest.fixture
def plugin_path(tmp_path: Path) -> Iterator[Path]:
    """A directory from which Python imports, as an installed package's."""
    sys.path.insert(0, str(tmp_path))
    yield tmp_path
    sys.path.remove(str(tmp_path))


def _install(path: Path, *entry_points: str) -> None:
    metadata = path / "thirdparty-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: thirdparty\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[eagle_node.storage]\n" + "\n".join(entry_points) + "\n"
    )


def test_the_drivers_in_the_box() -> None:
    """These schemes work from a source tree, where the package has no metadata."""
    assert {"az", "file", "gs", "memory", "s3"} <= set(known_schemes())


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("/var/lib/blobs", r"not a URL; write file:///"),
        ("flie:///var/lib/blobs", r"known: az://, file://.*did you mean file://\?"),
        ("ftp://host/blobs", r"there is no driver for ftp://"),
        ("file://blobs", r"names no directory; write file:///"),
        ("file:///", r"names no directory"),
        ("file:///blobs?mode=1", r"names no directory"),
        ("s3://", r"names no bucket; write s3://BUCKET/PREFIX"),
        ("s3://key:secret@bucket", r"credentials come from the environment"),
        ("s3://bucket?regoin=eu", r"unknown option 'regoin'; did you mean region\?"),
        ("s3://bucket?secret_access_key=x", r"unknown option 'secret_access_key'"),
        ("s3://bucket?allow_http=perhaps", r"allow_http='perhaps' is neither true nor false"),
        ("s3://bucket?endpoint=localhost:9000", r"is not an http:// or https:// URL"),
        ("s3://bucket?endpoint=http://127.0.0.1:9000", r"not encrypted; add allow_http=true"),
        ("gs://bucket?region=eu", r"unknown option 'region'; known: allow_http, endpoint"),
        ("az://account", r"names no container; write az://ACCOUNT/CONTAINER"),
    ],
)
def test_a_wrong_url_is_a_usage_error(url: str, says: str) -> None:
    """The error says what is wrong and what to write."""
    with pytest.raises(UsageError, match=says):
        open_storage(url)


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/some/prefix?region=eu-west-1&virtual_hosted_style_request=true",
        "s3://bucket?endpoint=https://s3.example:9000&skip_signature=1",
        "gs://bucket/prefix?skip_signature=true",
        "az://account/container/prefix?skip_signature=true",
        "az://account/container?endpoint=https://blobs.example/account&skip_signature=true",
    ],
)
async def test_a_right_url_opens_before_the_store_is_reachable(url: str) -> None:
    """A seeder starts while its store is down."""
    async with open_storage(url) as storage:
        assert isinstance(storage, ObstoreStorage)


def test_secrets_in_a_url_are_not_repeated() -> None:
    """The error about credentials in a URL does not show them."""
    with pytest.raises(UsageError) as raised:
        parse_bucket_url("s3://key:secret@bucket/prefix")
    assert "secret" not in str(raised.value)


def test_bucket_urls_are_read_in_full() -> None:
    """Prefix, endpoint, flags and settings of the kind of store."""
    url = "s3://blobs/eagle%20node/?endpoint=http://[::1]:9000&allow_http=TRUE&region=eu-west-1"
    assert parse_bucket_url(url) == BucketUrl(
        host="blobs",
        path="eagle node",
        endpoint="http://[::1]:9000",
        allow_http=True,
        settings={"region": "eu-west-1"},
    )


def test_file_urls_are_paths() -> None:
    """Escapes are undone, and localhost is this machine (RFC 8089)."""
    assert str(parse_file_url("file:///var/lib/a%20b")) == "/var/lib/a b"
    assert str(parse_file_url("file://localhost/var/lib")) == "/var/lib"


def test_a_plug_in_that_cannot_be_loaded_is_named(plugin_path: Path) -> None:
    """The error names the scheme and the entry point."""
    _install(plugin_path, "lost = no_such_module:open_lost")
    with pytest.raises(UsageError, match=r"lost:// \(no_such_module:open_lost\) cannot be loaded"):
        open_storage("lost://x")


async def test_a_plug_in_does_not_replace_a_driver_in_the_box(plugin_path: Path) -> None:
    """An entry point for a built-in scheme is not used."""
    _install(plugin_path, "memory = no_such_module:open_memory")
    async with open_storage("memory://") as storage:
        assert [info async for info in storage.list()] == []


@pytest.mark.parametrize("name", ["a", "sha256/ab/abc", "a.b-c_d/e", "a+b,c=d@e"])
def test_names(name: str) -> None:
    """Ordinary names are taken as they are."""
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "/a", "a/", "a//b", "..", "a/./b", ".hidden", "a b", "ü", "a#1", "x" * 513, "a.metainfo"],
)
def test_names_that_are_none(name: str) -> None:
    """A name that some store would change, hide or refuse is refused by all."""
    with pytest.raises(ValueError, match="cannot name"):
        check_name(name)
