"""The requests that lazy pullers begin with, on a blob that nobody has yet."""

from __future__ import annotations

import random
from email import message_from_bytes
from pathlib import Path

from tests.integration.content.documents import OCI_MANIFEST, image
from tests.integration.content.ground import REPOSITORY, Ground, ground
from tests.support import http
from tests.support.upload import upload_blob

MIB = 1 << 20
SIZE = 3 * MIB + 17


async def _blob(here: Ground, seed: str) -> tuple[str, bytes]:
    """Path and content of a new blob."""
    content = random.Random(seed).randbytes(SIZE)
    digest = await upload_blob(here.registry, REPOSITORY, content)
    return f"{REPOSITORY}/blobs/{digest}", content


async def test_lazy_pullers_get_what_they_begin_with(tmp_path: Path) -> None:
    """stargz, SOCI and nydus: ranges of every form, cold, and an answer whether anybody lives."""
    async with ground(tmp_path) as here:
        await _stargz_and_soci_begin_with_two_bytes(here)
        await _several_ranges_are_one_answer(here)
        await _nydus_reads_slices_of_a_mebibyte(here)
        await _a_manifest_has_no_ranges(here)
        for url in (f"{here.peer.proxy_url}/v2/", f"{here.peer.api_url}/healthz"):
            assert (await http.download(url)).status == 200


async def _stargz_and_soci_begin_with_two_bytes(here: Ground) -> None:
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


async def _several_ranges_are_one_answer(here: Ground) -> None:
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


async def _nydus_reads_slices_of_a_mebibyte(here: Ground) -> None:
    """Exactly what was asked for, in any order, the short one at the end too."""
    path, content = await _blob(here, "nydus")
    for start in (2 * MIB, 0, 3 * MIB, MIB):
        stop = min(start + MIB, SIZE)
        answer = await here.through(path, Range=f"bytes={start}-{stop - 1}")
        assert (answer.status, answer.body) == (206, content[start:stop])
        assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{SIZE}"


async def _a_manifest_has_no_ranges(here: Ground) -> None:
    """containerd 2.1.0 asks for ``bytes=0-`` of everything: all of it comes, as a 200."""
    document = image("ranged")
    await document.push(here.registry, REPOSITORY, "ranged")
    path = f"{REPOSITORY}/manifests/ranged"
    for node in (here.peer, here.seeder, here.peer):
        answer = await here.through(path, node, Accept=OCI_MANIFEST, Range="bytes=0-")
        assert (answer.status, answer.body) == (200, document.body)
        assert answer.headers["Content-Length"] == str(len(document.body))
