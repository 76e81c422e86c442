"""Listens for HTTP."""

from __future__ import annotations

import ssl

from aiohttp import web

from eagle_node.node.parts import Parts
from eagle_node.runtime.sockets import Address, bound_address, listen_tcp


async def serve(
    parts: Parts,
    app: web.Application,
    address: Address,
    *,
    flag: str,
    tls: ssl.SSLContext | None = None,
) -> int:
    """Serve ``app`` until the node stops; the port, which ``flag`` names in errors."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
    listener = listen_tcp(address, flag=flag)
    await runner.setup()
    parts.stack.push_async_callback(runner.cleanup)
    await web.SockSite(runner, listener, ssl_context=tls).start()
    return bound_address(listener).port
