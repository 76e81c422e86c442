"""Files without a digest: trusted at their first fetch, held to that afterwards."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.support import http
from tests.support.node import Node, eagle_node
from tests.support.process import CommandFailed, run

MIB = 1 << 20


class FileServer:
    """Serves one file with an ETag, to whom it may be served; counts the bodies that it sends."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.secret = ""
        self.sent = 0
        self.host = ""

    async def file(self, request: web.Request) -> web.Response:
        """The file, or what HEAD tells of it."""
        if self.secret and request.headers.get("Authorization") != self.secret:
            return web.Response(status=401)
        digest = hashlib.sha256(self.content).hexdigest()
        self.sent += request.method == "GET"
        return web.Response(body=self.content, headers={"ETag": f'"{digest[:12]}"'})


@asynccontextmanager
async def file_server(content: bytes) -> AsyncIterator[FileServer]:
    """One, on a port of its own."""
    server = FileServer(content)
    app = web.Application()
    app.router.add_get("/{path:.*}", server.file)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.host = f"127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


async def get(node: Node, url: str, out: Path, *more: str) -> dict[str, Any]:
    """What ``eagle-node get`` tells of it as JSON."""
    command = [sys.executable, "-m", "eagle_node", "get", url, "-o", str(out), "--json", *more]
    told = await run([*command, "--proxy", node.proxy_url, "--api", node.api_url])
    document: dict[str, Any] = json.loads(told.stdout)
    return document


def recorded(directory: Path) -> bytes:
    """All that nodes below ``directory`` have recorded of files."""
    return b"".join(path.read_bytes() for path in directory.glob("?/data/files.sqlite*"))


async def test_the_first_fetch_is_trusted_and_the_next_ones_held_to_it(tmp_path: Path) -> None:
    """The server sends the file once for both nodes. Once it has changed, a node that knew it
    refuses, with both digests and the ways out: the old bytes by digest, the new ones by word."""
    content = os.urandom(2 * MIB)
    async with file_server(content) as server:
        flags = ("--registry", f"{server.host}=http://{server.host}")
        url = f"http://{server.host}/a.bin?X-Amz-Signature="
        async with (
            eagle_node(tmp_path / "a", *flags) as first,
            eagle_node(tmp_path / "b", *flags, *first.pins) as second,
        ):
            old = "sha256:" + hashlib.sha256(content).hexdigest()
            told = await get(second, url + "1", tmp_path / "x")
            assert (told["trust"], told["digest"]) == ("first", old)
            assert (tmp_path / "x").read_bytes() == content
            assert (await get(second, url + "2", tmp_path / "y"))["trust"] == "recorded"
            assert (await get(first, url + "3", tmp_path / "z"))["trust"] == "first"
            assert server.sent == 1
            assert (await second.status())["traffic"]["origin_bytes"] == 0

            server.content = os.urandom(MIB)
            new = "sha256:" + hashlib.sha256(server.content).hexdigest()
            with pytest.raises(CommandFailed, match="status 1") as refused:
                await get(second, url + "4", tmp_path / "w")
            for word in (old, new, "--trust-new", "--digest"):
                assert word in str(refused.value)
            assert "Signature" not in str(refused.value).partition("eagle-node: ")[2]
            assert not (tmp_path / "w").exists()
            assert (await get(second, url, tmp_path / "w", "--digest", old))["digest"] == old
            told = await get(second, url + "5", tmp_path / "w", "--trust-new")
            assert (told["trust"], told["digest"]) == ("new", new)
            assert (tmp_path / "w").read_bytes() == server.content
            assert server.sent == 2
        kept = recorded(tmp_path)
        assert server.host.encode() in kept
        assert b"Signature" not in kept


async def test_a_private_file_is_looked_at_by_who_may_read_it(tmp_path: Path) -> None:
    """Without a cluster key credentials stay on the node; who shows none hears the server's no; a
    file that finds no room in the cache is had all the same, and a restart forgets nothing."""
    async with file_server(os.urandom(2 * MIB)) as server:
        server.secret = "Bearer me"
        flags = ("--registry", f"{server.host}=http://{server.host}")
        url, mine = f"http://{server.host}/a.bin", ("-H", "Authorization: Bearer me")
        async with (
            eagle_node(tmp_path / "a", *flags) as first,
            eagle_node(tmp_path / "b", *flags, "--cache-size", "1MiB", *first.pins) as second,
        ):
            with pytest.raises(CommandFailed, match="401"):
                await get(second, url, tmp_path / "x")
            assert (await get(second, url, tmp_path / "x", *mine))["trust"] == "first"
            assert (tmp_path / "x").read_bytes() == server.content
            assert "a.bin" not in first.log()
            with pytest.raises(CommandFailed, match="401"):
                await get(second, url, tmp_path / "y")
            await second.restart()
            assert (await get(second, url, tmp_path / "y", *mine))["trust"] == "recorded"


async def test_a_look_says_how_far_it_is(tmp_path: Path) -> None:
    """A line each second, so that nobody takes a long first fetch for a dead node."""
    go_on = asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"ETag": '"1"', "Content-Length": "6"})
        await answer.prepare(request)
        if request.method == "GET":
            await answer.write(b"abc")
            await go_on.wait()
            await answer.write(b"def")
        return answer

    app = web.Application()
    app.router.add_get("/a.bin", slow)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host = f"127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with eagle_node(tmp_path / "a", "--registry", f"{host}=http://{host}") as node:
            async with http.client() as session:
                look = session.post(
                    f"{node.proxy_url}/eagle/v1/look",
                    params={"url": f"http://{host}/a.bin"},
                    headers={"X-Eagle-Node": "test"},
                )
                async with look as answer:
                    while json.loads(await answer.content.readline()) != {"received": 3}:
                        pass
                    go_on.set()
                    lines = [json.loads(line) async for line in answer.content]
            assert lines[-1] == {
                "digest": "sha256:" + hashlib.sha256(b"abcdef").hexdigest(),
                "size": 6,
                "trust": "first",
            }
    finally:
        go_on.set()
        await runner.cleanup()
