"""The grammar of names, case by case."""

from __future__ import annotations

import pytest
from yarl import URL

from eagle_node.base.digest import digest_of
from eagle_node.base.errors import BadDigest
from eagle_node.registry.names import (
    BadName,
    BlobRef,
    Repository,
    authority_of,
    parse_reference,
    parse_registry,
    parse_repository_name,
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ghcr.io", "ghcr.io"),
        ("GHCR.io:0443", "ghcr.io:443"),
        ("localhost:5000", "localhost:5000"),
        ("registry", "registry"),
        ("10.0.0.1:5000", "10.0.0.1:5000"),
        ("[2001:DB8::0:1]:5000", "[2001:db8::1]:5000"),
        ("index.docker.io", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
    ],
)
def test_registry_names_have_one_spelling(text: str, name: str) -> None:
    """Case, leading zeros, IPv6 forms and Docker Hub's aliases fold into one name."""
    assert parse_registry(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://ghcr.io",
        "ghcr.io/owner",
        "user@ghcr.io",
        "ghcr.io:0",
        "ghcr.io:65536",
        "ghcr.io:٣",
        "-a.test",
        "a..test",
        "a_b.test",
        "a" * 64 + ".test",
        ".".join(["abcdefg"] * 32),
        "256.0.0.1",
        "1.2.3",
        "[::1",
        "[fe80::1%eth0]",
        "[:::]",
        "a.test\n",
        "exämple.test",
    ],
)
def test_what_is_no_host_and_port_is_no_registry(text: str) -> None:
    """Schemes, paths, users, zones and malformed hosts are refused, and the text says which."""
    with pytest.raises(BadName, match=r"registry name|IPv6") as caught:
        parse_registry(text)
    assert (caught.value.code, caught.value.status) == ("NAME_INVALID", 400)


@pytest.mark.parametrize(
    "name", ["Upper", "a//b", "/a", "a/", "a..b", "a___b", "-a", "a-", "a b", "", "é", "a" * 256]
)
def test_malformed_repository_names_are_named(name: str) -> None:
    """The distribution-spec's grammar decides, up to 255 characters."""
    with pytest.raises(BadName, match="repository name"):
        parse_repository_name(name)


@pytest.mark.parametrize("name", ["a", "library/nginx", "a__b/c-d/e.f", "a---b", "a" * 255])
def test_repository_names_of_the_grammar_pass(name: str) -> None:
    """Separators are one dot, one or two underscores, or any number of dashes."""
    assert parse_repository_name(name) == name


def test_a_malformed_tag_is_a_manifest_that_nobody_has() -> None:
    """The conformance suite asks for 404 on ``.INVALID_MANIFEST_NAME``."""
    for text in (".INVALID_MANIFEST_NAME", "", "a" * 129, "-a", "a/b"):
        with pytest.raises(BadName) as caught:
            parse_reference(text)
        assert (caught.value.code, caught.value.status) == ("MANIFEST_UNKNOWN", 404)


def test_a_reference_with_a_colon_is_meant_as_a_digest() -> None:
    """Tags hold no colon, so a malformed digest is not looked up as a tag."""
    with pytest.raises(BadDigest):
        parse_reference("sha256:xyz")
    assert parse_reference(digest_of(b"a")) == digest_of(b"a")
    assert parse_reference("v1.0_A-b") == "v1.0_A-b"


def test_names_read_like_references() -> None:
    """Messages show repositories and blobs as users write them."""
    blob = BlobRef(Repository("ghcr.io", "owner/app"), digest_of(b"a"))
    assert str(blob) == f"ghcr.io/owner/app@{digest_of(b'a')}"
    assert blob.path == f"/v2/owner/app/blobs/{digest_of(b'a')}"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://r.example/v2/", "r.example"),
        ("https://r.example:443/v2/", "r.example"),
        ("https://r.example:80/", "r.example:80"),
        ("http://r.example", "r.example"),
        ("http://127.0.0.1:5000/", "127.0.0.1:5000"),
        ("https://[2001:db8::1]/", "[2001:db8::1]"),
        ("https://[2001:db8::1]:5000/", "[2001:db8::1]:5000"),
    ],
)
def test_a_url_names_its_registry_without_a_port_that_goes_without_saying(
    url: str, name: str
) -> None:
    """As image references do."""
    assert authority_of(URL(url)) == name
