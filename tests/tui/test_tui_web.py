"""The dashboard in a browser."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.support.process import CommandFailed, Process, run, running
from tests.tui.fleet import Fleet
from tests.tui.stage import Server

COMMAND = [sys.executable, "-m", "eagle_node", "tui"]


@asynccontextmanager
async def served(directory: Path) -> AsyncIterator[tuple[str, str]]:
    """Base URL and token of ``tui --web`` at the API of a fleet."""
    server = Server(Fleet())
    await server.start()
    log = directory / "web.log"

    async def told() -> bool:
        return log.exists() and "?token=" in log.read_text()

    argv = [*COMMAND, "--web", "127.0.0.1:0", "--api", server.url]
    try:
        async with running(argv, log=log, ready=told, timeout=60.0) as process:
            yield _address(process)
    finally:
        await server.stop()


def _address(process: Process) -> tuple[str, str]:
    found = re.search(r"open (http://[^/]+)/\?token=(\S+)", process.log())
    assert found is not None
    return found[1], found[2]


async def test_a_browser_gets_the_dashboard_with_the_token_only(tmp_path: Path) -> None:
    """The printed address opens it, and its socket shows the node; nothing opens without it."""
    async with served(tmp_path) as (url, token), aiohttp.ClientSession() as stranger:
        for path in ("/", "/?token=x", "/static/js/textual.js", "/ws"):
            async with stranger.get(url + path) as answer:
                assert answer.status == 403, path
        jar = aiohttp.CookieJar(unsafe=True)  # cookies of IP addresses
        async with aiohttp.ClientSession(cookie_jar=jar) as browser:
            async with browser.get(f"{url}/?token={token}") as answer:
                assert answer.status == 200
                page = await answer.text()
                assert token not in str(answer.url)
            assert f"{url.replace('http', 'ws')}/ws" in page
            await _refused_elsewhere(browser, url)
            await _shows(browser, url, "us-1-web-0002")


async def _refused_elsewhere(browser: aiohttp.ClientSession, url: str) -> None:
    """The cookie does not help pages of other sites, nor other names for this address."""
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
        async with browser.get(url + "/", headers=headers) as answer:
            assert answer.status == 403


async def _shows(browser: aiohttp.ClientSession, url: str, text: str) -> None:
    """The process behind the socket draws a screen with ``text``."""
    drawn = ""
    async with asyncio.timeout(60), browser.ws_connect(f"{url}/ws?width=80&height=24") as socket:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                drawn += message.data.decode(errors="replace")
                if text in drawn:
                    return
            elif message.type is aiohttp.WSMsgType.TEXT:
                json.loads(message.data)
    raise AssertionError(f"the socket ended without {text}")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--web", "0.0.0.0:0"], "browsers cannot name 0.0.0.0"),
        (["--web", "nowhere"], "has no port"),
        ([], "needs a terminal"),
    ],
)
async def test_what_cannot_be_shown_is_refused_with_the_way_out(
    arguments: list[str], told: str
) -> None:
    """Wrong addresses and pipes are told in one line, before anything starts."""
    with pytest.raises(CommandFailed, match=rf"status 2(.|\n)*{told}"):
        await run([*COMMAND, *arguments])
