"""Requests that are no registry's, malformed or meant for somebody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from eagle_node.base.digest import digest_of
from tests.integration.registry.origin import NAME
from tests.unit.blobs.builders import content
from tests.unit.proxy.rig import Rig, oci_code, proxying, raw

DIGEST = digest_of(b"blob")


async def origin(request: web.Request) -> web.StreamResponse:
    """Says what it was asked."""
    body = await request.read()
    return web.json_response(
        {"method": request.method, "path": request.raw_path, "sent": len(body)}
    )


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Rig]:
    async with proxying(tmp_path, origin) as rig:
        yield rig


async def test_ping_is_answered_without_the_origin(proxy: Rig) -> None:
    """A mirror is there whether its registries are or not."""
    for path in ("/v2/", "/v2"):
        async with proxy.client.get(proxy.url + path) as answer:
            assert answer.status == 200
            assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
    assert proxy.origin.seen == []


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("/v2/app/blobs/sha256:short", 400, "DIGEST_INVALID"),
        ("/v2/APP/blobs/" + DIGEST, 400, "NAME_INVALID"),
        (f"/v2/app/blobs/{DIGEST}?ns=http://evil", 400, "NAME_INVALID"),
        (f"/v2/app/blobs/{DIGEST}?ns=", 400, "NAME_INVALID"),
        ("/v2/../../etc/passwd", 400, "NAME_INVALID"),
        ("/v2/a%2f..%2fb/blobs/" + DIGEST, 400, "NAME_INVALID"),
        ("/v2//blobs/" + DIGEST, 400, "NAME_INVALID"),
        ("/v2/" + "a/" * 2000 + "blobs/" + DIGEST, 400, "NAME_INVALID"),
        ("/v2/app/manifests/" + "x" * 129, 404, "MANIFEST_UNKNOWN"),
        ("/", 404, "NAME_UNKNOWN"),
        ("/v1/_ping", 404, "NAME_UNKNOWN"),
        ("/v2/app/unknown/thing", 404, "NAME_UNKNOWN"),
        ("https://example.com/", 400, "NAME_INVALID"),
        ("ftp://example.com/x", 400, "NAME_INVALID"),
    ],
)
async def test_what_no_registry_serves_is_an_oci_error(
    proxy: Rig, target: str, status: int, code: str
) -> None:
    """400 for what is malformed, 404 for what is not there; never a 500."""
    request = f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answered, headers, body = await raw(proxy, request.encode())
    assert (answered, oci_code(body)) == (status, code)
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http:///x HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n",
        b"BREW /v2/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v2/ HTTP/9.9\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /v2/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_a_400(proxy: Rig, request_bytes: bytes) -> None:
    """And the proxy goes on."""
    status, _, _ = await raw(proxy, request_bytes)
    assert status == 400
    async with proxy.client.get(f"{proxy.url}/v2/") as answer:
        assert answer.status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "OPTIONS", "TRACE"])
async def test_a_method_that_a_route_has_not_is_a_405(proxy: Rig, method: str) -> None:
    """As an OCI error."""
    url = proxy.blob(DIGEST)
    async with proxy.client.request(method, url) as answer:
        assert answer.status == 405
        assert oci_code(await answer.read()) == "UNSUPPORTED"


async def test_uploads_and_tags_are_passed_on(proxy: Rig) -> None:
    """The mirror is a way to the registry for all that it does not serve itself."""
    body = content(300_000)
    url = f"{proxy.url}/v2/team/app/blobs/uploads/?ns={NAME}&mount=x"
    async with proxy.client.post(url, data=body) as answer:
        assert await answer.json() == {
            "method": "POST",
            "path": "/v2/team/app/blobs/uploads/?mount=x",
            "sent": len(body),
        }
    async with proxy.client.get(f"{proxy.url}/v2/team/app/tags/list?ns={NAME}&n=5") as answer:
        assert (await answer.json())["path"] == "/v2/team/app/tags/list?n=5"


async def test_an_origin_that_ends_early_is_an_incomplete_body(tmp_path: Path) -> None:
    """Passed on as what it is."""

    async def broken(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.close()
        return response

    request = f"GET /v2/team/app/tags/list?ns={NAME} HTTP/1.1\r\nHost: x\r\n\r\n"
    async with proxying(tmp_path, broken) as proxy:
        with pytest.raises(asyncio.IncompleteReadError) as caught:
            await raw(proxy, request.encode())
    assert (caught.value.partial, caught.value.expected) == (b"half", 1000)
