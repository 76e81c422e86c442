"""``eagle-node tui --web``, and what a browser does with it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tests.support.process import running

PATIENCE_S = 60.0

_ADDRESS = re.compile(r"open (http://[^/]+)/\?token=(\S+)")


@asynccontextmanager
async def served(argv: Sequence[str], *, log: Path) -> AsyncIterator[tuple[str, str]]:
    """Base URL and token that ``argv``, a ``tui --web``, prints; it runs while the block lasts."""

    async def told() -> bool:
        return _ADDRESS.search(_text(log)) is not None

    async with running(argv, log=log, ready=told, timeout=PATIENCE_S) as process:
        found = _ADDRESS.search(process.log())
        assert found is not None, process.log()
        yield found[1], found[2]


@asynccontextmanager
async def admitted(url: str, token: str) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """A browser that has opened the printed address, and the page that it got."""
    jar = aiohttp.CookieJar(unsafe=True)  # cookies of IP addresses
    async with aiohttp.ClientSession(cookie_jar=jar) as browser:
        async with browser.get(f"{url}/?token={token}") as answer:
            assert answer.status == 200
            page = await answer.text()
            assert token not in str(answer.url)
        yield browser, page


async def page_shows(browser: aiohttp.ClientSession, url: str, text: str) -> None:
    """Wait until the process behind the page's socket has drawn ``text``."""
    drawn = ""
    socket_url = f"{url}/ws?width=80&height=24"
    async with asyncio.timeout(PATIENCE_S), browser.ws_connect(socket_url) as socket:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                drawn += message.data.decode(errors="replace")
                if text in drawn:
                    return
            elif message.type is aiohttp.WSMsgType.TEXT:
                json.loads(message.data)
    raise AssertionError(f"the socket ended without {text}: {drawn[-500:]}")


def _text(log: Path) -> str:
    return log.read_text() if log.exists() else ""
