"""Pushing through a node: every form of upload, deletes, lists; nothing old is told afterwards."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
from yarl import URL

from eagle_node.base.digest import digest_of
from tests.support import http
from tests.support.images import MANIFEST_TYPE
from tests.support.node import Node, eagle_node
from tests.support.origin import NAME
from tests.support.registry import Registry, docker_registry

LAYER, CONFIG = b"layer " * 50_000, b"{}"
OCTETS = {"Content-Type": "application/octet-stream"}


ELSEWHERE = "[2001:db8::5]:5000"
"""Another name of the same registry."""


@asynccontextmanager
async def pushing(
    directory: Path, *, alone: bool = True
) -> AsyncIterator[tuple[Registry, Node, aiohttp.ClientSession]]:
    """An empty registry, the node that is pushed through, which may be its own seeder, a client."""
    async with docker_registry(directory / "registry") as registry, AsyncExitStack() as stack:
        flags = ["--registry", f"{NAME}={registry.url}"]
        flags += ["--registry", f"{ELSEWHERE}={registry.url}"]
        if not alone:
            seeder = await stack.enter_async_context(eagle_node(directory / "seeder", *flags))
            flags += seeder.pins
        node = await stack.enter_async_context(eagle_node(directory / "node", *flags))
        yield registry, node, await stack.enter_async_context(http.client())


def _url(node: Node, path: str, **query: str) -> URL:
    return URL(f"{node.proxy_url}/v2/{path}").with_query({"ns": NAME, **query})


async def _upload(
    session: aiohttp.ClientSession, node: Node, repository: str, content: bytes, *, chunks: int = 0
) -> str:
    """A blob, in one request after the first or in chunks; where it says that it is."""
    async with session.post(_url(node, f"{repository}/blobs/uploads/")) as begun:
        assert begun.status == 202
        where = URL(node.proxy_url).join(URL(begun.headers["Location"], encoded=True))
    size = -(-len(content) // max(1, chunks))
    for start in range(0, len(content) if chunks else 0, size):
        part = content[start : start + size]
        headers = {**OCTETS, "Content-Range": f"{start}-{start + len(part) - 1}"}
        async with session.patch(where, data=part, headers=headers) as sent:
            assert (sent.status, await sent.read()) == (202, b"")
            where = URL(node.proxy_url).join(URL(sent.headers["Location"], encoded=True))
    rest = b"" if chunks else content
    where = where.update_query(digest=digest_of(content))
    async with session.put(where, data=rest, headers=OCTETS) as ended:
        assert ended.status == 201, await ended.text()
        assert ended.headers["Docker-Content-Digest"] == digest_of(content)
        return str(URL(node.proxy_url).join(URL(ended.headers["Location"], encoded=True)))


def _manifest(**additions: str) -> bytes:
    def described(kind: str, content: bytes) -> dict[str, object]:
        return {"mediaType": kind, "digest": digest_of(content), "size": len(content)}

    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": described("application/vnd.oci.image.config.v1+json", CONFIG),
            "layers": [described("application/vnd.oci.image.layer.v1.tar", LAYER)],
            "annotations": additions,
        }
    ).encode()


async def _put(
    session: aiohttp.ClientSession, node: Node, repository: str, tag: str, body: bytes
) -> None:
    headers = {"Content-Type": MANIFEST_TYPE}
    url = _url(node, f"{repository}/manifests/{tag}")
    async with session.put(url, data=body, headers=headers) as answer:
        assert answer.status == 201, await answer.text()
        assert answer.headers["Docker-Content-Digest"] == digest_of(body)


async def _status(session: aiohttp.ClientSession, method: str, url: URL | str) -> int:
    async with session.request(method, url, headers={"Accept": MANIFEST_TYPE}) as answer:
        return answer.status


async def test_an_image_goes_up_through_a_node(tmp_path: Path) -> None:
    """In one piece, in chunks and by a mount; what was not there before is there at once."""
    async with pushing(tmp_path, alone=False) as (registry, node, session):
        layer = _url(node, f"team/app/blobs/{digest_of(LAYER)}")
        assert await _status(session, "HEAD", layer) == 404
        where = await _upload(session, node, "team/app", LAYER, chunks=3)
        assert await _status(session, "HEAD", layer) == 200
        await http.download(where, digest=digest_of(LAYER))
        await _upload(session, node, "team/app", CONFIG)
        tagged = _url(node, "team/app/manifests/v1")
        assert await _status(session, "GET", tagged) == 404
        for number in ("one", "two"):
            body = _manifest(number=number)
            await _put(session, node, "team/app", "v1", body)
            headers = {"Accept": MANIFEST_TYPE}
            await http.download(str(tagged), digest=digest_of(body), headers=headers)
        mount = _url(
            node, "team/copy/blobs/uploads/", mount=digest_of(LAYER), **{"from": "team/app"}
        )
        assert await _status(session, "POST", mount) == 201
        copied = _url(node, f"team/copy/blobs/{digest_of(LAYER)}")
        assert await _status(session, "GET", copied) == 200
        agents = {each.agent for each in await registry.accesses() if each.method == "PATCH"}
        assert len(agents) == 1


async def test_a_push_by_the_forward_proxy_voids_what_was_said_before(tmp_path: Path) -> None:
    """Refusals and tags, to readers by the mirror and by the forward proxy, of node and seeder."""
    async with pushing(tmp_path, alone=False) as (registry, node, session):

        def at_registry(path: str) -> str:
            return f"{registry.url}/v2/{path}"

        async def told(path: str) -> set[str]:
            """The digests that a tag has, asked in both ways."""
            found = set()
            for url, proxy in ((_url(node, path), None), (at_registry(path), node.proxy_url)):
                async with session.get(url, proxy=proxy, headers={"Accept": MANIFEST_TYPE}) as got:
                    assert got.status == 200
                    found.add(got.headers["Docker-Content-Digest"])
            return found

        layer = f"team/app/blobs/{digest_of(LAYER)}"
        assert await _status(session, "HEAD", _url(node, layer)) == 404
        for content in (LAYER, CONFIG):
            uploads = at_registry("team/app/blobs/uploads/")
            async with session.post(uploads, proxy=node.proxy_url) as begun:
                where = URL(begun.headers["Location"], encoded=True)
            where = where.update_query(digest=digest_of(content))
            async with session.put(where, data=content, proxy=node.proxy_url) as ended:
                assert ended.status == 201, await ended.text()
        assert await _status(session, "HEAD", _url(node, layer)) == 200
        tagged, headers = "team/app/manifests/v1", {"Content-Type": MANIFEST_TYPE}
        for number in ("one", "two"):
            body = _manifest(number=number)
            put = session.put(at_registry(tagged), data=body, headers=headers, proxy=node.proxy_url)
            async with put as answer:
                assert answer.status == 201, await answer.text()
            assert await told(tagged) == {digest_of(body)}
        gone = f"team/app/manifests/{digest_of(body)}"
        assert await told(gone) == {digest_of(body)}
        async with session.delete(at_registry(gone), proxy=node.proxy_url) as answer:
            assert answer.status == 202
        assert await _status(session, "GET", _url(node, gone)) == 404


async def test_what_is_deleted_is_gone(tmp_path: Path) -> None:
    """Though manifest and blob are in the node's store and cache, and the right is remembered."""
    async with pushing(tmp_path) as (_, node, session):
        for content in (LAYER, CONFIG):
            await _upload(session, node, "team/app", content)
        body = _manifest()
        await _put(session, node, "team/app", "v1", body)
        manifest = _url(node, f"team/app/manifests/{digest_of(body)}")
        layer = _url(node, f"team/app/blobs/{digest_of(LAYER)}")
        for url in (manifest, layer):
            assert await _status(session, "GET", url) == 200
            assert await _status(session, "DELETE", url) == 202
            assert await _status(session, "GET", url) == 404
        upload = _url(node, "team/app/blobs/uploads/")
        async with session.post(upload) as begun:
            where = URL(node.proxy_url).join(URL(begun.headers["Location"], encoded=True))
        assert await _status(session, "DELETE", where) == 204
        assert await _status(session, "GET", where) == 404


async def test_lists_are_followed_page_by_page(tmp_path: Path) -> None:
    """The registry's links lead through the node again, for tags and for repositories."""
    async with pushing(tmp_path) as (_, node, session):
        for repository in ("team/app", "team/copy", "zoo/app"):
            for content in (LAYER, CONFIG):
                await _upload(session, node, repository, content)
            for tag in ("a", "b", "c"):
                await _put(session, node, repository, tag, _manifest())
        for path, key, expected in (
            ("team/app/tags/list", "tags", ["a", "b", "c"]),
            ("_catalog", "repositories", ["team/app", "team/copy", "zoo/app"]),
        ):
            found, url = [], _url(node, path, n="2")
            for _ in range(len(expected)):
                async with session.get(url) as page:
                    assert page.status == 200
                    found += (await page.json())[key]
                    if "next" not in page.links:
                        break
                    url = URL(str(page.links["next"]["url"]))
                    assert str(url).startswith(node.proxy_url)
            assert sorted(found) == expected


async def test_a_registry_at_an_ipv6_address(tmp_path: Path) -> None:
    """A literal with a port is a name like any other, in ``ns`` and in the path."""
    async with pushing(tmp_path) as (_, node, session):
        base = URL(node.proxy_url)
        for path, query in (
            ("/v2/team/app/blobs/uploads/", {"ns": ELSEWHERE}),
            ("/v2/[2001:DB8:0::5]:5000/team/app/blobs/uploads/", {}),
        ):
            async with session.post(base.join(URL(path, encoded=True)).with_query(query)) as begun:
                assert begun.status == 202, await begun.text()
                where = base.join(URL(begun.headers["Location"], encoded=True))
            assert where.query["ns"] == ELSEWHERE
            where = where.update_query(digest=digest_of(LAYER))
            async with session.put(where, data=LAYER, headers=OCTETS) as ended:
                assert ended.status == 201
        got = base.with_path(f"/v2/team/app/blobs/{digest_of(LAYER)}").with_query(ns=ELSEWHERE)
        await http.download(str(got), digest=digest_of(LAYER))
