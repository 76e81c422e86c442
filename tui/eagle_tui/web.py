"""The dashboard in browsers: each page is a process of its own behind a WebSocket.

Whoever opens the page can do what the dashboard can. So it asks for the token in the address that
is printed, once, and keeps it in a cookie. Requests for other host names are refused (DNS
rebinding), and WebSockets from pages of other sites (cross-site WebSocket hijacking).
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
import secrets
import shlex
import socket
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import aiohttp_jinja2
import jinja2
from aiohttp import WSCloseCode, web
from aiohttp.typedefs import Middleware
from textual_serve.app_service import AppService
from textual_serve.server import Server

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_TOKEN_BYTES = 24
_FOREIGN = re.compile(r"<link\b[^>]*\bhref=\"https?://[^>]*>")
"""A style sheet of another site; our own have no scheme before they are filled in."""
_HEARTBEAT_S = 15.0
"""Between signs of life of a page's socket; a browser that is gone ends its process."""


async def serve(
    command: Sequence[str], *, listener: socket.socket, host: str, tell: Callable[[str], None]
) -> None:
    """Serve ``command``, a dashboard, at ``listener`` until cancelled.

    ``host`` is what browsers call this machine. ``tell`` gets the address to open, with its token.
    """
    port = listener.getsockname()[1]
    name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    app = build_app(command, name=name, token=token)
    runner = web.AppRunner(app, shutdown_timeout=1.0, access_log=None)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        tell(f"http://{name}/?token={token}")
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def build_app(command: Sequence[str], *, name: str, token: str) -> web.Application:
    """The application that serves ``command`` as ``name`` (host and port) to those with ``token``.

    The page and what passes through its socket are textual-serve's; the guard is ours.
    """
    server = _Pages(command, title="eagle-node", public_url=f"http://{name}")
    app = web.Application(middlewares=[_guard(name, token)])
    aiohttp_jinja2.setup(app, loader=jinja2.FunctionLoader(partial(_template, server)))
    app.add_routes(
        [
            web.get("/", server.handle_index, name="index"),
            web.get("/ws", server.handle_websocket, name="websocket"),
            web.static("/static", server.statics_path, name="static"),
        ]
    )
    return app


def _template(server: Server, name: str) -> str:
    """textual-serve's page without the font of another site: it would hold up the page where that
    site cannot be reached, and tell it of the page where it can."""
    return _FOREIGN.sub("", (Path(server.templates_path) / name).read_text())


class _Pages(Server):
    """Starts the process behind a page without a shell, which small images do not have."""

    def __init__(self, command: Sequence[str], *, title: str, public_url: str) -> None:
        super().__init__(shlex.join(command), title=title, public_url=public_url)
        self._argv = command

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Run one page while its socket is open."""
        page = web.WebSocketResponse(heartbeat=_HEARTBEAT_S)
        await page.prepare(request)
        process = _PageProcess(
            self.command,
            write_bytes=page.send_bytes,
            write_str=page.send_str,
            close=_closing(page),
            download_manager=self.download_manager,
        )
        process.argv = self._argv
        try:
            await process.start(*_size(request))
        except OSError as error:
            log.error("no page can be started: %s", error)
            await page.close(code=WSCloseCode.INTERNAL_ERROR, message=b"no process for the page")
            return page
        try:
            await self._process_messages(page, process)
        finally:
            await process.stop()
        return page


class _PageProcess(AppService):
    """A dashboard whose terminal is a page."""

    argv: Sequence[str] = ()

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        self._process = await asyncio.create_subprocess_exec(
            *self.argv,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=self._build_environment(width=width, height=height),
        )
        self._stdin = self._process.stdin
        return self._process


def _closing(page: web.WebSocketResponse) -> Callable[[], Awaitable[None]]:
    async def close() -> None:
        await page.close()

    return close


def _size(request: web.Request) -> tuple[int, int]:
    """Columns and rows that the page has room for; 80x24 where it tells no number."""
    told = (request.query.get("width", ""), request.query.get("height", ""))
    columns, rows = (int(each) if each.isdecimal() else 0 for each in told)
    return columns or 80, rows or 24


def _guard(name: str, token: str) -> Middleware:
    cookie = f"eagle-node-{name.rpartition(':')[2]}"
    """Cookies are shared by the ports of a host."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.host != name:
            raise web.HTTPForbidden(text=f"this is {name}, not {request.host}\n")
        if request.headers.get("Origin", f"http://{name}") != f"http://{name}":
            raise web.HTTPForbidden(text="pages of other sites are refused\n")
        if _is(request.cookies.get(cookie, ""), token):
            return await handler(request)
        if request.path == "/" and _is(request.query.get("token", ""), token):
            answer = web.HTTPSeeOther("/")
            answer.set_cookie(cookie, token, httponly=True, samesite="Strict", path="/")
            raise answer
        raise web.HTTPForbidden(text="open the address that eagle-node tui --web has printed\n")

    return check


def _is(told: str, token: str) -> bool:
    return hmac.compare_digest(told.encode(), token.encode())
