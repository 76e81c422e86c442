"""What files of web servers are known by."""

from __future__ import annotations

import pytest
from yarl import URL

from eagle_node.base.digest import digest_of
from eagle_node.registry.file_ref import FileRef, validator_of


def name(text: str) -> str:
    """The name of the file at a URL."""
    return FileRef.of("files.example", URL(text, encoded=True)).name


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Signature=1&X-Amz-Date=2&X-Amz-Expires=3",
        "sv=2024&se=2026&sp=r&sig=abc",
        "X-Goog-Signature=1",
        "Expires=1&Signature=2&Key-Pair-Id=3",
        "token=1",
    ],
)
def test_signed_urls_of_one_file_have_one_name(query: str) -> None:
    """It is that of the URL without the query."""
    assert name(f"https://files.example/a/b.bin?{query}") == "files.example/a/b.bin"


def test_what_else_a_query_says_tells_files_apart() -> None:
    """By a hash, from which it cannot be read."""
    one, other = (name(f"https://files.example/get?file=secret{n}&token=x") for n in (1, 2))
    assert one != other
    assert "secret" not in one
    assert one == name("https://files.example/get?token=y&file=secret1")


def test_a_file_shows_no_query() -> None:
    """Neither as text nor in a traceback."""
    file = FileRef("files.example", "/a?token=secret")
    assert "secret" not in f"{file!r} {file} {file.repository}"
    blob = file.blob(digest_of(b""))
    assert (blob.path, blob.owned_as) == ("/a?token=secret", "files.example/a")


def test_a_validator_is_the_best_that_there_is() -> None:
    """The entity tag before the date."""
    assert validator_of({"ETag": '"1"', "Last-Modified": "yesterday"}) == '"1"'
    assert validator_of({"Last-Modified": "yesterday"}) == "yesterday"
    assert validator_of({}) == ""
