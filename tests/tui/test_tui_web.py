"""The dashboard in a browser."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.support.browser import admitted, page_shows, served
from tests.support.process import CommandFailed, run
from tests.tui.fleet import Fleet
from tests.tui.stage import Server

COMMAND = [sys.executable, "-m", "eagle_node", "tui"]


@asynccontextmanager
async def dashboard(directory: Path) -> AsyncIterator[tuple[str, str]]:
    """Base URL and token of ``tui --web`` at the API of a fleet."""
    server = Server(Fleet())
    await server.start()
    argv = [*COMMAND, "--web", "127.0.0.1:0", "--api", server.url]
    try:
        async with served(argv, log=directory / "web.log") as (url, token):
            yield url, token
    finally:
        await server.stop()


async def test_a_browser_gets_the_dashboard_with_the_token_only(tmp_path: Path) -> None:
    """The printed address opens it, and its socket shows the node; nothing opens without it."""
    async with dashboard(tmp_path) as (url, token), aiohttp.ClientSession() as stranger:
        for path in ("/", "/?token=x", "/static/js/textual.js", "/ws"):
            async with stranger.get(url + path) as answer:
                assert answer.status == 403, path
        async with admitted(url, token) as (browser, page):
            assert f"{url.replace('http', 'ws')}/ws" in page
            links = re.findall(r"(?:href|src)=\"(https?://[^\"]+)", page)
            assert links
            assert all(each.startswith(url) for each in links), "nothing is of another site"
            await _refused_elsewhere(browser, url)
            await page_shows(browser, url, "us-1-web-0002")


async def test_a_page_without_a_server_ends() -> None:
    """A server that was killed says no farewell: the end of the input is what the page hears."""
    server = Server(Fleet())
    await server.start()
    driver = {"TEXTUAL_DRIVER": "textual.drivers.web_driver:WebDriver"}
    try:
        page = await asyncio.create_subprocess_exec(
            *[*COMMAND, "--api", server.url],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, **driver},
        )
        assert page.stdin is not None
        assert page.stdout is not None
        try:
            async with asyncio.timeout(60):
                assert await page.stdout.readline() == b"__GANGLION__\n"
                page.stdin.close()
                await page.stdout.read()
                assert await page.wait() == 0
        finally:
            if page.returncode is None:
                page.kill()
                await page.wait()
    finally:
        await server.stop()


async def _refused_elsewhere(browser: aiohttp.ClientSession, url: str) -> None:
    """The cookie does not help pages of other sites, nor other names for this address."""
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
        async with browser.get(url + "/", headers=headers) as answer:
            assert answer.status == 403


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
