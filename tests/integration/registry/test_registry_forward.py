"""What is passed on as it is; manifests that are not what they should be; TLS on the way."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from yarl import URL

from eagle_node.base.digest import digest_of
from eagle_node.base.errors import Denied, Unavailable, WrongContent
from eagle_node.config.tree import ProxyConfig, RegistryConfig
from eagle_node.registry.manifest_reply import MAX_MANIFEST, ManifestReply
from eagle_node.registry.names import Repository
from eagle_node.registry.upstream import Upstream
from tests.integration.registry.origin import (
    BLOB,
    CONTENT,
    NAME,
    at,
    honest,
    read,
    serving,
    upstream,
)
from tests.support.certificates import issue

REPOSITORY = Repository(NAME, "team/app")


async def manifest(client: Upstream, reference: str = "v1") -> ManifestReply:
    """The manifest by GET."""
    return await client.fetch_manifest(
        REPOSITORY, reference, method="GET", accept=["a/b", "c/d"], authorization=None
    )


async def test_a_request_is_passed_on_without_what_is_ours() -> None:
    """Method, path, query and body go; ``ns``, hop-by-hop headers and the mirror's Host do not."""

    async def accept(_: web.Request) -> web.Response:
        return web.Response(
            status=202,
            body=b"done",
            headers={"Location": "/v2/a/blobs/uploads/2", "Keep-Alive": "timeout=5", "X-Own": "1"},
        )

    async def body() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    path = "/v2/a/blobs/uploads/1?_state=x%2F%3D&ns=origin.test"
    headers = {"Host": "mirror", "Connection": "X-Hop", "X-Hop": "1", "Content-Length": "7"}
    async with (
        serving(accept) as origin,
        upstream(at(origin)) as client,
        client.forward("PATCH", NAME, path, headers, body(), "Bearer own") as reply,
    ):
        answer = b"".join([chunk async for chunk in reply.chunks()])
    assert (reply.status, answer) == (202, b"done")
    assert reply.headers["Location"] == "/v2/a/blobs/uploads/2?ns=origin.test"
    assert reply.headers["X-Own"] == "1"
    assert "Keep-Alive" not in reply.headers
    [seen] = origin.seen
    assert (seen.method, seen.target) == ("PATCH", "/v2/a/blobs/uploads/1?_state=x%2F%3D")
    assert (seen.body, seen.authorization) == (b"one two", "Bearer own")
    assert seen.headers["Host"] == origin.host
    assert "X-Hop" not in seen.headers


async def test_refusals_and_redirects_are_passed_on() -> None:
    """They are the client's to deal with."""

    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("moved"):
            return web.Response(status=307, headers={"Location": "https://s3.test/x?sig=1"})
        return web.json_response({"errors": []}, status=404)

    async with serving(answer) as origin, upstream(at(origin)) as client:
        async with client.forward("GET", NAME, "/v2/moved", {}, None, None) as reply:
            assert (reply.status, reply.headers["Location"]) == (307, "https://s3.test/x?sig=1")
        async with client.forward("GET", NAME, "/v2/none", {}, None, None) as reply:
            assert reply.status == 404


async def test_a_path_that_is_none_reaches_nobody() -> None:
    """What follows the authority begins with a slash."""
    async with serving(honest) as origin, upstream(at(origin)) as client:
        with pytest.raises(ValueError, match="absolute path"):
            async with client.forward("GET", NAME, "@evil.test/", {}, None, None):
                pass
    assert origin.seen == []


async def test_a_forward_proxys_request_goes_where_it_says() -> None:
    """With the client's own headers, content codings untouched, no redirect followed."""

    async def gzipped(_: web.Request) -> web.Response:
        return web.Response(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})

    headers = {"Authorization": "Basic x", "Proxy-Authorization": "y", "Accept-Encoding": "gzip"}
    async with serving(gzipped) as server, upstream() as client:
        url = URL(f"{server.url}/file?a=%2F", encoded=True)
        async with client.forward_url("GET", url, headers, None) as reply:
            assert [chunk async for chunk in reply.chunks()] == [b"\x1f\x8b"]
    assert reply.headers["Content-Encoding"] == "gzip"
    [seen] = server.seen
    assert (seen.target, seen.authorization) == ("/file?a=%2F", "Basic x")
    assert "Proxy-Authorization" not in seen.headers


async def test_strangers_are_refused_where_only_configured_registries_count() -> None:
    """Nothing is dialled."""
    async with upstream(config=ProxyConfig(only_configured=True)) as client:
        with pytest.raises(Denied, match=r"origin\.test is not configured"):
            await read(client)
        with pytest.raises(Denied):
            client.base_url("quay.io")


async def test_a_manifest_is_verified() -> None:
    """By the digest that was asked for, else by the one that the registry tells."""

    async def lie(request: web.Request) -> web.Response:
        return web.Response(
            body=b"{}", headers={"Docker-Content-Digest": digest_of(request.path.encode())}
        )

    async with serving(lie) as origin, upstream(at(origin)) as client:
        for reference in ("v1", digest_of(b"another")):
            with pytest.raises(WrongContent):
                await manifest(client, reference)
    assert origin.seen[0].headers["Accept"] == "a/b, c/d"


async def test_a_manifest_without_end_is_cut_off() -> None:
    """By its length if told, by its bytes if not."""

    async def endless(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("told"):
            return web.Response(body=bytes(MAX_MANIFEST + 1))
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for _ in range(MAX_MANIFEST // len(CONTENT) + 1):
            await response.write(CONTENT)
        return response

    async with serving(endless) as origin, upstream(at(origin)) as client:
        for reference in ("told", "untold"):
            with pytest.raises(Unavailable, match="4194304"):
                await manifest(client, reference)


async def test_an_unasked_304_is_no_manifest() -> None:
    """There is nothing that it could still be."""

    async def unchanged(_: web.Request) -> web.Response:
        return web.Response(status=304)

    async with serving(unchanged) as origin, upstream(at(origin)) as client:
        with pytest.raises(Unavailable, match="304"):
            await manifest(client)


async def test_a_client_certificate_is_shown_to_its_registry_only(tmp_path: Path) -> None:
    """A registry that wants one gets it; a server that it redirects to does not."""
    tls = issue(tmp_path)
    wanting = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tls.authority)
    wanting.load_cert_chain(tls.certificate, tls.key)
    wanting.verify_mode = ssl.CERT_OPTIONAL

    def peer(request: web.Request) -> object:
        assert request.transport is not None
        return request.transport.get_extra_info("peercert")

    shown: dict[str, object] = {}

    async def redirect(request: web.Request) -> web.Response:
        shown["registry"] = peer(request)
        return web.Response(status=307, headers={"Location": f"{storage.url}/x"})

    async def store(request: web.Request) -> web.StreamResponse:
        shown["storage"] = peer(request)
        return await honest(request)

    async with serving(store, tls=wanting) as storage, serving(redirect, tls=wanting) as origin:
        registry = RegistryConfig(
            name=NAME,
            url=origin.url,
            ca_file=tls.authority,
            client_cert_file=tls.certificate,
            client_key_file=tls.key,
        )
        async with upstream(registry) as client:
            assert await read(client) == CONTENT
    assert shown["registry"]
    assert not shown["storage"]


async def test_a_renewed_authority_takes_effect_at_once(tmp_path: Path) -> None:
    """The file is read again when it changes; until it is the right one, the message says why."""
    right, wrong = issue(tmp_path / "right"), issue(tmp_path / "wrong")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(right.certificate, right.key)
    trusted = tmp_path / "ca.pem"
    trusted.write_bytes(wrong.authority.read_bytes())
    async with (
        serving(honest, tls=server) as origin,
        upstream(RegistryConfig(name=NAME, url=origin.url, ca_file=trusted)) as client,
    ):
        with pytest.raises(Unavailable, match="certificate is not trusted"):
            await read(client)
        renewed = tmp_path / "new.pem"
        renewed.write_bytes(right.authority.read_bytes())
        renewed.rename(trusted)
        assert await read(client) == CONTENT
        trusted.unlink()
        with pytest.raises(Unavailable, match=r"cannot use the TLS files .*ca\.pem"):
            await read(client)


async def test_tls_is_not_left(tmp_path: Path) -> None:
    """A redirect from https to http is refused, and so is a token service without TLS."""
    tls = issue(tmp_path)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(tls.certificate, tls.key)

    async def downgrade(request: web.Request) -> web.Response:
        if request.path == BLOB.path:
            return web.Response(status=307, headers={"Location": plain.url})
        challenge = f'Bearer realm="{plain.url}/token"'
        return web.Response(status=401, headers={"WWW-Authenticate": challenge})

    async with serving(honest) as plain, serving(downgrade, tls=server) as origin:
        registry = RegistryConfig(name=NAME, url=origin.url, ca_file=tls.authority)
        async with upstream(registry) as client:
            for attempt in (read(client), manifest(client)):
                with pytest.raises(Unavailable, match="from https to plain http"):
                    await attempt
    assert plain.seen == []
