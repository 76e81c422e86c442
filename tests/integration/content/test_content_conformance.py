"""What the OCI conformance suite asks of pulls, asked through a node, with its range cases."""

from __future__ import annotations

import json
import random
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from eagle_node.base.digest import digest_of
from tests.integration.content.documents import OCI_MANIFEST, Document, image
from tests.integration.content.ground import REPOSITORY, Ground, ground
from tests.support.upload import upload_blob

pytestmark = pytest.mark.asyncio(loop_scope="module")

SIZE = 3000
ABSENT = "sha256:" + "0" * 64
TAGS = [f"tag-{number}" for number in range(5)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    """One ground for all tests of this file."""
    async with ground(tmp_path_factory.mktemp("content")) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def document(here: Ground) -> Document:
    """An image under several tags."""
    made = image("conformance")
    for tag in TAGS:
        await made.push(here.registry, REPOSITORY, tag)
    return made


async def test_the_protocol_is_spoken(here: Ground) -> None:
    """``GET /v2/`` is a 200, with the header that old clients look for."""
    answer = await here.through("")
    assert answer.status == 200
    assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize(
    "path",
    [
        f"{REPOSITORY}/blobs/{ABSENT}",
        f"{REPOSITORY}/manifests/{ABSENT}",
        f"{REPOSITORY}/manifests/absent",
        f"team/absent/blobs/{ABSENT}",
        "team/absent/manifests/latest",
        "team/absent/tags/list",
    ],
)
async def test_what_is_not_there_is_a_404(
    here: Ground, document: Document, method: str, path: str
) -> None:
    """With an OCI error that has a code, in upper case; a HEAD without a body."""
    if method == "HEAD" and path.endswith("list"):
        method = "GET"
    assert (await here.agree(path, method=method, Accept=OCI_MANIFEST)).status == 404


@pytest.mark.parametrize(
    "path",
    [
        f"{REPOSITORY}/blobs/sha256:totallywrong",
        f"{REPOSITORY}/manifests/sha256:totallywrong",
        f"{REPOSITORY}/blobs/notadigest",
    ],
)
async def test_a_malformed_digest_is_a_client_error(here: Ground, path: str) -> None:
    """400 (or 404), with an OCI error."""
    answer = await here.through(path)
    assert answer.status in (400, 404)
    assert json.loads(answer.body)["errors"][0]["code"] in ("DIGEST_INVALID", "NAME_INVALID")


@pytest.mark.parametrize("method", ["HEAD", "GET"])
async def test_what_is_there_is_a_200(here: Ground, document: Document, method: str) -> None:
    """Manifest by tag and by digest, every blob, with length, type and digest."""
    for reference in (TAGS[0], digest_of(document.body)):
        path = f"{REPOSITORY}/manifests/{reference}"
        answer = await here.agree(path, method=method, Accept=OCI_MANIFEST)
        assert answer.headers["Content-Length"] == str(len(document.body))
    for blob in document.blobs:
        answer = await here.agree(f"{REPOSITORY}/blobs/{digest_of(blob)}", method=method)
        assert answer.headers["Content-Length"] == str(len(blob))


async def test_tags_are_listed(here: Ground, document: Document) -> None:
    """All of them, whatever of paging the registry knows."""
    answer = await here.agree(f"{REPOSITORY}/tags/list?n=100")
    assert set(TAGS) <= set(json.loads(answer.body)["tags"])


async def test_lists_go_page_by_page(here: Ground, document: Document) -> None:
    """The ``Link`` of each page leads through the node to the next."""
    names = [f"pages/{number}" for number in range(3)]
    for name in names:
        await document.push(here.registry, name, "latest")
    found: list[str] = []
    path = "_catalog?n=1"
    while path:
        answer = await here.through(path)
        assert answer.status == 200
        page = json.loads(answer.body)["repositories"]
        assert len(page) <= 1
        found += page
        match = re.search(r'<[^>]*/v2/([^>]*)>; *rel="next"', answer.headers.get("Link", ""))
        path = re.sub(r"[?&]ns=[^&]*", "", match[1]) if match else ""
    assert set(names) < set(found)
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [
        ("500-1499", 500, 1499),
        ("500-", 500, SIZE - 1),
        ("-500", SIZE - 500, SIZE - 1),
        ("2000-5000", 2000, SIZE - 1),
        ("0-0", 0, 0),
        ("0-", 0, SIZE - 1),
    ],
)
@pytest.mark.parametrize("scale", [1, 1000], ids=["small", "large"])
async def test_ranges(here: Ground, wanted: str, first: int, last: int, scale: int) -> None:
    """Cold at the peer, then at its seeder, then again: always the same 206."""
    size = SIZE * scale
    content = random.Random(f"{wanted}{scale}").randbytes(size)
    digest = await upload_blob(here.registry, REPOSITORY, content)
    if scale > 1:
        scaled = [str(int(each) * scale) if each else "" for each in wanted.split("-")]
        wanted, first = "-".join(scaled), first * scale
        last = size - 1 if last == SIZE - 1 else last * scale
    for node in (here.peer, here.seeder, here.peer):
        answer = await here.through(f"{REPOSITORY}/blobs/{digest}", node, Range=f"bytes={wanted}")
        assert answer.status == 206
        assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{size}"
        assert answer.headers["Content-Length"] == str(last - first + 1)
        assert answer.body == content[first : last + 1]


@pytest.mark.parametrize("wanted", [f"{SIZE}-", f"{SIZE}-{SIZE + 10}", "-0"])
async def test_an_unsatisfiable_range_is_a_416(here: Ground, wanted: str) -> None:
    """Cold and again; with the size that there is."""
    content = random.Random(wanted).randbytes(SIZE)
    digest = await upload_blob(here.registry, REPOSITORY, content)
    for node in (here.peer, here.peer):
        answer = await here.through(f"{REPOSITORY}/blobs/{digest}", node, Range=f"bytes={wanted}")
        assert answer.status == 416
        assert answer.headers["Content-Range"] == f"bytes */{SIZE}"
