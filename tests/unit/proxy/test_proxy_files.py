"""Files of any server through the swarm: what a request may name."""

from __future__ import annotations

import pytest

from eagle_node.base.errors import BadDigest
from eagle_node.config.tree import RegistryConfig
from eagle_node.proxy.files import HEADER, parse_file
from eagle_node.registry.names import BadName

DIGEST = "sha256:" + "0" * 64
REGISTRIES = (RegistryConfig(name="files", url="http://10.0.0.1:8080"),)
MARKED = {HEADER: "get"}


def test_a_url_is_a_blob_of_its_host() -> None:
    """The path and query are kept as they are; a configured server has its configured name."""
    query = {"url": "https://r.example/a%20b/c.bin?v=1", "digest": DIGEST}
    blob = parse_file(query, MARKED, REGISTRIES).blob
    assert (blob.repository.registry, blob.path) == ("r.example", "/a%20b/c.bin?v=1")
    query = {"url": "http://10.0.0.1:8080/x", "digest": DIGEST}
    assert parse_file(query, MARKED, REGISTRIES).blob.repository.registry == "files"


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("http://10.0.0.2/x", 403),
        ("http://169.254.169.254/latest", 403),
        ("file:///etc/passwd", 400),
        ("https://me:secret@r.example/x", 400),
        ("https:///x", 400),
        ("r.example/x", 400),
        ("", 400),
        ("https://r.example/" + "x" * 5000, 400),
    ],
)
def test_other_urls_are_refused(url: str, status: int) -> None:
    """Plain HTTP unasked, other schemes, credentials, nothing at all."""
    with pytest.raises(BadName) as caught:
        parse_file({"url": url, "digest": DIGEST}, MARKED, REGISTRIES)
    assert caught.value.status == status


def test_a_page_cannot_ask() -> None:
    """It may not send the header to another origin."""
    with pytest.raises(BadName, match=HEADER):
        parse_file({"url": "https://r.example/x", "digest": DIGEST}, {}, REGISTRIES)


def test_without_a_digest_there_is_nothing_to_verify() -> None:
    """So there is nothing to fetch."""
    with pytest.raises(BadDigest):
        parse_file({"url": "https://r.example/x"}, MARKED, REGISTRIES)
