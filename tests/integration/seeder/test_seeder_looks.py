"""How files are looked at: a scripted server, a real cache."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web

from eagle_node.base.digest import digest_of
from eagle_node.base.errors import Denied, Unavailable
from eagle_node.config.tree import SeederConfig
from eagle_node.registry.access import Access, AccessMemory
from eagle_node.registry.file_ref import FileFound, FileRef
from eagle_node.registry.file_store import FileStore
from eagle_node.seeder.looks import FileLooks, HeldFile
from eagle_node.swarm.transfer import Transfer
from tests.integration.registry.origin import NAME, Handler, Origin, at, serving, upstream
from tests.integration.swarm.rig import Rig, rig
from tests.unit.blobs.builders import MIB, content

DATA = content(300_000)
FILE = FileRef(NAME, "/a.bin?token=secret")
FOUND = FileFound(digest=digest_of(DATA), size=len(DATA))


async def looking(
    stack: AsyncExitStack, directory: Path, handler: Handler
) -> tuple[FileLooks, Origin, Rig]:
    """A looker before a server that answers as ``handler`` does."""
    enter = stack.enter_async_context
    origin = await enter(serving(handler))
    client = await enter(upstream(at(origin)))
    node = await enter(rig(directory))
    looks = FileLooks(
        upstream=client,
        cache=node.cache,
        transfers=node.transfers,
        access=Access(client, AccessMemory(60.0, 1.0, 600.0)),
        store=await enter(FileStore(None)),
        config=SeederConfig(origin_retries=2),
    )
    return looks, origin, node


def gets(origin: Origin) -> list[str | None]:
    """The ranges of all GETs."""
    return [seen.headers.get("Range") for seen in origin.seen if seen.method == "GET"]


async def test_all_who_look_at_once_cause_one_fetch(tmp_path: Path) -> None:
    """It is in the cache then, and not fetched again while the server says that it is the same."""

    async def serve(request: web.Request) -> web.Response:
        return web.Response(body=DATA, headers={"ETag": '"1"'})

    async with AsyncExitStack() as stack:
        looks, origin, node = await looking(stack, tmp_path, serve)
        assert await asyncio.gather(*(looks.find(FILE, None) for _ in range(5))) == [FOUND] * 5
        assert await looks.find(FILE, None) == FOUND
        assert gets(origin) == [None]
        reader = node.cache.open(FOUND.digest)
        assert reader is not None
        assert await reader.read() == DATA
        reader.close()
        assert node.cache.used == len(DATA)


async def test_a_refusal_is_for_the_reader_in_whose_name_a_file_is_read(tmp_path: Path) -> None:
    """Whoever has joined with a signature that is still good has it read by that one."""
    asked, joining, may_answer = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def serve(request: web.Request) -> web.Response:
        if request.method == "GET" and request.query["sig"] == "expiring":
            asked.set()
            await may_answer.wait()
            return web.Response(status=403)
        if request.query["sig"] == "good":
            joining.set()
        return web.Response(body=DATA, headers={"ETag": '"1"'})

    async with AsyncExitStack() as stack:
        looks, _, _ = await looking(stack, tmp_path, serve)
        first = asyncio.create_task(looks.find(FileRef(NAME, "/a.bin?sig=expiring"), None))
        await asked.wait()
        second = asyncio.create_task(looks.find(FileRef(NAME, "/a.bin?sig=good"), None))
        await joining.wait()
        await asyncio.sleep(0.05)
        may_answer.set()
        with pytest.raises(Denied):
            await first
        assert await second == FOUND


async def test_one_that_breaks_off_is_gone_on_with(tmp_path: Path) -> None:
    """From the byte where it broke."""
    broken = False

    async def serve(request: web.Request) -> web.StreamResponse:
        nonlocal broken
        first = int(request.headers.get("Range", "bytes=0-")[6:-1])
        headers = {"ETag": '"1"', "Content-Length": str(len(DATA) - first)}
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(DATA) - 1}/{len(DATA)}"
        answer = web.StreamResponse(status=206 if first else 200, headers=headers)
        await answer.prepare(request)
        if request.method == "GET":
            end = len(DATA) if broken else 100_000
            await answer.write(DATA[first:end])
            if not broken and request.transport is not None:
                broken = True
                request.transport.close()
        return answer

    async with AsyncExitStack() as stack:
        looks, origin, _ = await looking(stack, tmp_path, serve)
        assert await looks.find(FILE, None) == FOUND
        assert gets(origin)[0] is None
        assert gets(origin)[1:] == ["bytes=100000-"]


async def test_one_who_goes_away_takes_no_bytes_along(tmp_path: Path) -> None:
    """What was read is taken into the cache, for who asks next."""
    data = content(8 * MIB)

    async def serve(request: web.Request) -> web.Response:
        return web.Response(body=data, headers={"ETag": '"1"'})

    async with AsyncExitStack() as stack:
        looks, _, node = await looking(stack, tmp_path, serve)
        loop, started = asyncio.get_running_loop(), asyncio.Event()

        def leave(_: Transfer) -> None:
            started.set()
            loop.call_soon(finding.cancel)

        node.transfers.on_start.append(leave)
        finding = asyncio.create_task(looks.find(FILE, None))
        await started.wait()
        transfer = node.transfers.get(digest_of(data))
        assert transfer is not None
        with pytest.raises(asyncio.CancelledError):
            await finding
        await transfer.wait_finished()
        assert digest_of(data) in node.cache


async def test_a_held_file_that_cannot_be_read_to_its_end_is_unavailable(tmp_path: Path) -> None:
    """It has become shorter, or nobody keeps it open any more; its own opener may have gone."""
    path = tmp_path / "held"
    path.write_bytes(DATA)
    with path.open("rb") as file:
        held = HeldFile(file, len(DATA))
    with held:
        async with held.open(7, None) as stream:
            assert b"".join([chunk async for chunk in stream.chunks()]) == DATA[7:]
        os.truncate(path, 1000)
        with pytest.raises(Unavailable, match="became shorter"):
            await asyncio.wait_for(drained(held), 60)
    with pytest.raises(Unavailable, match="cannot read"):
        await drained(held)


async def drained(held: HeldFile) -> int:
    """Bytes of a held file, all read."""
    async with held.open(0, None) as stream:
        return sum([len(chunk) async for chunk in stream.chunks()])


async def test_one_that_changes_meanwhile_is_no_file(tmp_path: Path) -> None:
    """What was read may be of two files: nothing is recorded or kept."""
    looked = 0

    async def serve(request: web.Request) -> web.Response:
        nonlocal looked
        looked += request.method == "HEAD"
        return web.Response(body=DATA, headers={"ETag": f'"{looked}"'})

    async with AsyncExitStack() as stack:
        looks, _, node = await looking(stack, tmp_path, serve)
        with pytest.raises(Unavailable, match="changed while it was read"):
            await looks.find(FILE, None)
        assert len(node.cache) == 0
        assert node.cache.used == 0


async def test_while_the_server_is_down_its_last_word_counts(tmp_path: Path) -> None:
    """For readers who had a yes of it; a file that nobody has looked at is not to be had."""
    down = False

    async def serve(request: web.Request) -> web.Response:
        if down:
            return web.Response(status=503)
        if request.headers.get("Authorization") != "Bearer me":
            return web.Response(status=401)
        return web.Response(body=DATA, headers={"ETag": '"1"'})

    async with AsyncExitStack() as stack:
        looks, _, _ = await looking(stack, tmp_path, serve)
        with pytest.raises(Denied):
            await looks.find(FILE, None)
        assert await looks.find(FILE, "Bearer me") == FOUND
        down = True
        assert await looks.find(FILE, "Bearer me") == FOUND
        with pytest.raises(Unavailable):
            await looks.find(FILE, "Bearer you")
        with pytest.raises(Unavailable):
            await looks.find(FileRef(NAME, "/b.bin"), "Bearer me")


async def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    """Of no bytes."""

    async def serve(request: web.Request) -> web.Response:
        return web.Response(body=b"", headers={"ETag": '"1"', "Content-Length": "0"})

    async with AsyncExitStack() as stack:
        looks, _, _ = await looking(stack, tmp_path, serve)
        assert await looks.find(FILE, None) == FileFound(digest=digest_of(b""), size=0)
