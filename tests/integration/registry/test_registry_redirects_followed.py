"""Redirects: blob storage behind a registry, and what must not follow there."""

from __future__ import annotations

import pytest
from aiohttp import web

from eagle_node.base.errors import Denied, Unavailable
from eagle_node.registry.upstream import BlobInfo
from tests.integration.registry.origin import (
    BLOB,
    CONTENT,
    Handler,
    at,
    honest,
    read,
    serving,
    upstream,
)

BASIC = "Basic dXNlcjpwYXNz"


def to(location: str, status: int = 307) -> Handler:
    """A registry that sends everybody to ``location``."""

    async def redirect(_: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": location})

    return redirect


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_credentials_stay_with_the_registry(status: int) -> None:
    """Another port is another server: the blob comes from there, the password does not go there."""
    async with (
        serving(honest) as storage,
        serving(to(f"{storage.url}/bucket/x?sig=a%2Fb", status)) as origin,
        upstream(at(origin)) as client,
    ):
        assert await read(client, authorization=BASIC, start=5, stop=10) == CONTENT[5:10]
    assert [seen.authorization for seen in origin.seen] == [BASIC]
    [at_storage] = storage.seen
    assert at_storage.authorization is None
    assert at_storage.target == "/bucket/x?sig=a%2Fb"
    assert at_storage.headers["Range"] == "bytes=5-9"


async def test_credentials_are_kept_within_the_registry() -> None:
    """A redirect to the same server is still that server."""

    async def move(request: web.Request) -> web.StreamResponse:
        if request.path == BLOB.path:
            return web.Response(status=302, headers={"Location": "/elsewhere"})
        return await honest(request)

    async with serving(move) as origin, upstream(at(origin)) as client:
        assert await read(client, authorization=BASIC) == CONTENT
    assert [seen.authorization for seen in origin.seen] == [BASIC, BASIC]


async def test_credentials_do_not_come_back_by_a_detour() -> None:
    """Once dropped they stay dropped: the way back is the stranger's idea."""

    async def detour(request: web.Request) -> web.StreamResponse:
        if request.path == BLOB.path:
            return web.Response(status=302, headers={"Location": f"{stranger.url}/"})
        return await honest(request)

    async def back(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": f"{origin.url}/back"})

    async with (
        serving(back) as stranger,
        serving(detour) as origin,
        upstream(at(origin)) as client,
    ):
        assert await read(client, authorization=BASIC) == CONTENT
    assert [seen.authorization for seen in origin.seen] == [BASIC, None]
    assert [seen.authorization for seen in stranger.seen] == [None]


async def test_a_loop_ends_and_is_named() -> None:
    """After one round, not after a time-out."""
    async with serving(to("/v2/round")) as origin, upstream(at(origin)) as client:
        with pytest.raises(Unavailable, match=r"redirect loop: .*/v2/round -> .*/v2/round"):
            await read(client)
    assert len(origin.seen) == 2


async def test_a_chain_ends() -> None:
    """Five hops are followed, the sixth is not."""

    async def further(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": f"{request.path}/x"})

    async with serving(further) as origin, upstream(at(origin)) as client:
        with pytest.raises(Unavailable, match="more than 5 redirects"):
            await read(client)
    assert len(origin.seen) == 6


async def test_a_no_of_the_storage_is_a_fault_of_the_registry() -> None:
    """The registry has said yes; an expired signature is nothing that the client did."""

    async def expired(_: web.Request) -> web.Response:
        return web.Response(status=403)

    async with (
        serving(expired) as storage,
        serving(to(storage.url)) as origin,
        upstream(at(origin)) as client,
    ):
        with pytest.raises(Unavailable, match="answered 403"):
            await read(client)
        with pytest.raises(Unavailable, match="answered 403"):
            await client.check_blob(BLOB, None)


async def test_a_storage_that_signs_for_get_only_is_asked_by_get() -> None:
    """The first byte proves the right to read, and tells the size."""

    async def get_only(request: web.Request) -> web.StreamResponse:
        if request.method == "HEAD":
            return web.Response(status=403)
        return await honest(request)

    async with (
        serving(get_only) as storage,
        serving(to(storage.url)) as origin,
        upstream(at(origin)) as client,
    ):
        assert await client.check_blob(BLOB, None) == BlobInfo(size=len(CONTENT))
    assert storage.seen[-1].headers["Range"] == "bytes=0-0"


async def test_the_registrys_own_no_to_head_is_no() -> None:
    """Only behind a redirect is there doubt."""

    async def forbid(_: web.Request) -> web.Response:
        return web.Response(status=403)

    async with serving(forbid) as origin, upstream(at(origin)) as client:
        with pytest.raises(Denied):
            await client.check_blob(BLOB, None)
    assert [seen.method for seen in origin.seen] == ["HEAD"]
