"""The requests that lazy pullers begin with, on a blob that nobody has yet."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from email import message_from_bytes

import pytest
import pytest_asyncio

from tests.integration.content.documents import OCI_MANIFEST, image
from tests.integration.content.ground import REPOSITORY, Ground, ground
from tests.support import http
from tests.support.upload import upload_blob

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1 << 20
SIZE = 3 * MIB + 17


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    """One ground for all tests of this file."""
    async with ground(tmp_path_factory.mktemp("lazy")) as made:
        yield made


async def _blob(here: Ground, seed: str) -> tuple[str, bytes]:
    """Path and content of a new blob."""
    content = random.Random(seed).randbytes(SIZE)
    digest = await upload_blob(here.registry, REPOSITORY, content)
    return f"{REPOSITORY}/blobs/{digest}", content


async def test_stargz_and_soci_begin_with_two_bytes(here: Ground) -> None:
    """``bytes=0-1``, a HEAD for the size, then the footer at the end; identity all the way."""
    path, content = await _blob(here, "stargz")
    first = await here.through(path, Range="bytes=0-1", Accept_Encoding="identity")
    assert (first.status, first.body) == (206, content[:2])
    assert first.headers["Content-Range"] == f"bytes 0-1/{SIZE}"
    assert first.headers["Content-Type"] == "application/octet-stream"
    size = await here.through(path, method="HEAD")
    assert size.headers["Content-Length"] == str(SIZE)
    footer = await here.through(path, Range=f"bytes={SIZE - 51}-{SIZE - 1}")
    assert (footer.status, footer.body) == (206, content[-51:])


async def test_several_ranges_are_one_answer(here: Ground) -> None:
    """Each part with its own Content-Range, cold and again."""
    path, content = await _blob(here, "several")
    wanted = [(0, 99), (MIB, MIB + 4095), (SIZE - 10, SIZE - 1)]
    header = "bytes=" + ",".join(f"{first}-{last}" for first, last in wanted)
    for _ in range(2):
        answer = await here.through(path, Range=header)
        assert answer.status == 206
        kind = answer.headers["Content-Type"]
        assert kind.startswith("multipart/byteranges; boundary=")
        parts = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + answer.body)
        found = [
            (part["Content-Range"], part.get_payload(decode=True))
            for part in parts.walk()
            if not part.is_multipart()
        ]
        assert found == [
            (f"bytes {first}-{last}/{SIZE}", content[first : last + 1]) for first, last in wanted
        ]


async def test_nydus_reads_slices_of_a_mebibyte(here: Ground) -> None:
    """Exactly what was asked for, in any order, the short one at the end too."""
    path, content = await _blob(here, "nydus")
    for start in (2 * MIB, 0, 3 * MIB, MIB):
        stop = min(start + MIB, SIZE)
        answer = await here.through(path, Range=f"bytes={start}-{stop - 1}")
        assert (answer.status, answer.body) == (206, content[start:stop])
        assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{SIZE}"


async def test_whoever_asks_whether_the_mirror_lives_is_answered(here: Ground) -> None:
    """At the mirror's ``/v2/``, and at the control API's health URLs."""
    for url in (f"{here.peer.proxy_url}/v2/", f"{here.peer.api_url}/healthz"):
        assert (await http.download(url)).status == 200


async def test_a_manifest_has_no_ranges(here: Ground) -> None:
    """containerd 2.1.0 asks for ``bytes=0-`` of everything: all of it comes, as a 200."""
    document = image("ranged")
    await document.push(here.registry, REPOSITORY, "ranged")
    path = f"{REPOSITORY}/manifests/ranged"
    for node in (here.peer, here.seeder, here.peer):
        answer = await here.through(path, node, Accept=OCI_MANIFEST, Range="bytes=0-")
        assert (answer.status, answer.body) == (200, document.body)
        assert answer.headers["Content-Length"] == str(len(document.body))
