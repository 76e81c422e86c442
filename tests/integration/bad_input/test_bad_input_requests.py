"""Requests that no registry would serve: the right status, a reason, and no harm done."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from yarl import URL

from tests.support import http
from tests.support.node import Node, eagle_node
from tests.support.origin import NAME, Origin, scripted_origin
from tests.support.pulls import blob_url, pull_blob, refusal

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1 << 20
DIGEST = "sha256:" + "0" * 64
LOUD = re.compile("WARNING|ERROR|CRITICAL")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def origin() -> AsyncIterator[Origin]:
    """An origin for all tests of this file."""
    async with scripted_origin() as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory, origin: Origin) -> AsyncIterator[Node]:
    """A node that knows this origin only; it must be well when all tests are over.

    What clients do wrong is no trouble of the node: nothing of it is logged as a warning.
    """
    directory = tmp_path_factory.mktemp("node")
    async with eagle_node(directory, *origin.flags, "--only-configured") as made:
        yield made
        await pull_blob(made, origin.add_random(MIB, seed=99))
        assert "Traceback" not in made.log()
        warnings = [line for line in made.log().splitlines() if LOUD.search(line)]
        assert [line for line in warnings if "no --cluster-key-file" not in line] == []


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        (f"/v2/team/app/blobs/sha256:{'0' * 63}?ns={NAME}", 400, "not a digest"),
        (f"/v2/team/app/blobs/sha256:{'G' * 64}?ns={NAME}", 400, "not a digest"),
        (f"/v2/team/app/blobs/Sha512:{'0' * 128}?ns={NAME}", 400, "not a digest"),
        (f"/v2/team/app/blobs/latest?ns={NAME}", 400, "not a digest"),
        (f"/v2/team/app/manifests/sha256:12?ns={NAME}", 400, "not a digest"),
        (f"/v2/team/app/manifests/{'x' * 200}?ns={NAME}", 404, "not a tag"),
        (f"/v2/Team/app/blobs/{DIGEST}?ns={NAME}", 400, "not a repository name"),
        (f"/v2/team//app/blobs/{DIGEST}?ns={NAME}", 400, "empty or a relative element"),
        (f"/v2/../../etc/passwd?ns={NAME}", 400, "relative element"),
        (f"/v2/team/%2e%2e/blobs/{DIGEST}?ns={NAME}", 400, "characters that no registry name"),
        (f"/v2/{'a' * 300}/blobs/{DIGEST}?ns={NAME}", 400, "longer than 255"),
        (f"/v2/{'a/' * 2000}blobs/{DIGEST}?ns={NAME}", 400, "longer than 2048"),
        (f"/v2/team/app/blobs/{DIGEST}?ns=http://{NAME}", 400, "not a registry name"),
        (f"/v2/team/app/blobs/{DIGEST}?ns={NAME}/../x", 400, "not a registry name"),
        (f"/v2/team/app/blobs/{DIGEST}?ns=user:pw@{NAME}", 400, "not a registry name"),
        (f"/v2/team/app/blobs/{DIGEST}?ns={NAME}:99999", 400, "port out of range"),
        (f"/v2/team/app/blobs/{DIGEST}?ns=", 400, "not a registry name"),
        (f"/v2/team/app/blobs/{DIGEST}?ns=169.254.169.254", 404, "not configured"),
        (f"/v2/team/app/blobs/{DIGEST}?ns=other.test", 404, "not configured"),
        (f"/v2/team/app/blobs/{DIGEST}?ns={NAME}", 404, "404"),
        ("/", 404, "no registry endpoint"),
        ("/v1/_ping", 404, "no registry endpoint"),
    ],
)
async def test_a_bad_target_is_named(node: Node, path: str, status: int, reason: str) -> None:
    """An OCI error with the culprit in its message."""
    url = URL(node.proxy_url + path, encoded=True)
    assert reason in await refusal(url, status=status)


async def test_names_from_outside_are_never_dialled(node: Node, origin: Origin) -> None:
    """``ns`` is a look-up key: the origin's own address is no registry's name here."""
    digest = origin.add_random(1000)
    before = len(origin.requests)
    address = origin.url.removeprefix("http://")
    assert "not configured" in await refusal(blob_url(node, digest, ns=address), status=404)
    assert len(origin.requests) == before


@pytest.mark.parametrize(
    ("value", "status", "length"),
    [
        ("bytes=0-0", 206, 1),
        ("bytes=5-", 206, MIB - 5),
        ("bytes=-7", 206, 7),
        ("bytes=0-99999999999999999999999999", 206, MIB),
        (f"bytes={MIB}-", 416, 0),
        ("bytes=-0", 416, 0),
        ("bytes=7-3", 200, MIB),
        ("bytes=a-b", 200, MIB),
        ("bytes=", 200, MIB),
        ("lines=1-2", 200, MIB),
        ("bytes=1-2,2-3", 206, 3),
        ("bytes=" + "0-1," * 1000, 400, 0),
        ("bytes=-", 200, MIB),
    ],
)
async def test_ranges_mean_what_rfc_9110_says(
    node: Node, origin: Origin, value: str, status: int, length: int
) -> None:
    """Satisfiable 206, beyond the end 416, malformed or unknown ignored, too many refused."""
    digest = origin.add_random(MIB)
    got = await http.download(blob_url(node, digest), headers={"Range": value}, status=status)
    if status < 400:
        assert got.bytes == length
    elif status == 416:
        assert got.headers["Content-Range"] == f"bytes */{MIB}"


async def _raw(node: Node, request: bytes) -> bytes:
    """The proxy's answer to bytes, which must come within seconds."""
    host, _, port = node.proxy_address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request)
        async with asyncio.timeout(60):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            return head + await reader.readexactly(int(length[1]) if length else 0)
    finally:
        writer.close()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/9.9\r\n\r\n",
        b"G\x00T / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: x\r\nBad\x01Header: 1\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET http://[::1/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET gopher://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_malformed_requests_are_answered(node: Node, request_bytes: bytes) -> None:
    """A 4xx with an OCI error, never a 500 and never a hang."""
    head, _, body = (await _raw(node, request_bytes)).partition(b"\r\n\r\n")
    assert 400 <= int(head.split(b" ")[1]) < 500
    [error] = json.loads(body)["errors"]
    assert error["code"].isupper()
    assert error["message"]


async def test_a_malformed_connect_is_answered(node: Node) -> None:
    """In plain text: it is no registry's client that reads it."""
    request = b"CONNECT origin.test HTTP/1.1\r\nHost: origin.test\r\n\r\n"
    assert (await _raw(node, request)).startswith(b"HTTP/1.1 400 ")


async def test_methods_that_a_blob_has_not(node: Node) -> None:
    """405 for what the protocol does not know."""
    url = blob_url(node, DIGEST)
    async with http.client() as session:
        for method in ("PUT", "POST", "PATCH"):
            async with session.request(method, url) as answer:
                assert answer.status == 405
