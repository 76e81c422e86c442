"""``eagle-node tui``: the dashboard, in this terminal or in browsers."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import os
import sys

from eagle_node.base.errors import UsageError
from eagle_node.cli.exits import Exit
from eagle_node.cli.node_api import api_client, api_url, token_file
from eagle_node.cli.own_command import own_command
from eagle_node.runtime.sockets import Address, is_loopback, listen_tcp, parse_address

_DRIVER_VARIABLE = "TEXTUAL_DRIVER"
"""Names what stands for the terminal when a browser is behind it."""


def dashboard(arguments: argparse.Namespace) -> int:
    """Show the node at ``--api`` until the user quits."""
    client = api_client(arguments)
    if arguments.web is not None:
        return _serve(arguments)
    if not sys.stdout.isatty() and _DRIVER_VARIABLE not in os.environ:
        raise UsageError("tui needs a terminal; eagle-node status prints one screen")
    from eagle_tui.app import Dashboard

    driver = None
    if _DRIVER_VARIABLE in os.environ:
        from eagle_tui.page_driver import PageDriver

        driver = PageDriver

    async def show() -> None:
        async with client:
            await Dashboard(client, light=arguments.light, driver=driver).run_async()

    asyncio.run(show())
    return Exit.OK


def _serve(arguments: argparse.Namespace) -> int:
    from eagle_tui.web import serve

    address = _web_address(arguments.web)
    command = [*own_command(), "tui", "--api", api_url(arguments)]
    if (path := token_file(arguments)) is not None:
        command += ["--api-token-file", str(path.resolve())]
    if arguments.light:
        command.append("--light")

    def tell(url: str) -> None:
        print(f"open {url}", flush=True)
        if not is_loopback(address.host):
            print(
                "eagle-node: it travels in clear text: whoever reads it on the way can steer the"
                " node; prefer loopback behind ssh -L",
                file=sys.stderr,
            )

    with listen_tcp(address, flag="--web") as listener:
        asyncio.run(serve(command, listener=listener, host=address.host, tell=tell))
    return Exit.OK


def _web_address(text: str) -> Address:
    try:
        address = parse_address(text)
    except ValueError as error:
        raise UsageError(f"--web: {error}") from None
    try:
        unspecified = ipaddress.ip_address(address.host).is_unspecified
    except ValueError:
        unspecified = False
    if unspecified:
        raise UsageError(
            f"--web: browsers cannot name {address.host}; write the address that they use"
        )
    return address
