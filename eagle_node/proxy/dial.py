"""Connects tunnels: to addresses that the client may reach, and no other."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
from collections.abc import Sequence

from eagle_node.base.errors import Denied, Unavailable
from eagle_node.runtime.lookup import LookUpFailed, NoServerAnswers, Resolver, Where
from eagle_node.runtime.sockets import Address

TIMEOUT_S = 15.0
"""For looking up a name and trying all its addresses; clients give a proxy 30 s (Go's default)."""
_TRY_S = 5.0
"""For one address while there are others."""


class TooSlow(Unavailable):
    """Nobody has answered in time."""


async def dial(
    target: Address,
    *,
    inner_allowed: bool,
    resolver: Resolver,
    timeout_s: float = TIMEOUT_S,
) -> socket.socket:
    """A connected socket.

    `Unavailable`, or `TooSlow`, says why there is none; `Denied`: all addresses are this host's
    inner ones (loopback, link-local: here its own services listen, and the cloud's metadata
    service), and they are not ``inner_allowed``. The addresses that were judged are those that are
    dialled, so a name cannot change its mind in between.
    """
    try:
        async with asyncio.timeout(timeout_s):
            found = await _look_up(target, resolver)
            allowed = [each for each in found if inner_allowed or not is_inner(each[1][0])]
            if not allowed:
                raise Denied(
                    f"{target} is an inner address of this proxy's host", status=403, code="DENIED"
                )
            return await _first_that_answers(target, allowed)
    except TimeoutError:
        raise TooSlow(f"cannot connect to {target}: no answer within {timeout_s:g} s") from None


def is_inner(address: str) -> bool:
    """Whether an IP address means something to one machine or one cable only."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip.is_loopback or ip.is_link_local or ip.is_unspecified or ip.is_multicast


_Found = tuple[int, Where]


async def _look_up(target: Address, resolver: Resolver) -> Sequence[_Found]:
    try:
        found = await resolver.addresses(target.host)
    except NoServerAnswers as error:
        raise TooSlow(f"cannot connect to {target}: {error}") from error
    except LookUpFailed as error:
        raise Unavailable(str(error)) from error
    return [(family, (where[0], target.port, *where[2:])) for family, where in found]


async def _first_that_answers(target: Address, places: Sequence[_Found]) -> socket.socket:
    reason = "no address"
    for number, (family, where) in enumerate(places, 1):
        try:
            return await _connected(family, where, None if number == len(places) else _TRY_S)
        except TimeoutError:
            reason = f"no answer within {_TRY_S:g} s"
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
    raise Unavailable(f"cannot connect to {target}: {reason}")


async def _connected(family: int, where: Where, limit: float | None) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        async with asyncio.timeout(limit):
            await asyncio.get_running_loop().sock_connect(made, where)
    except BaseException:
        made.close()
        raise
    return made
