"""How aiohttp's client gets from names to addresses: by `runtime.lookup`."""

from __future__ import annotations

import socket

from aiohttp.abc import AbstractResolver, ResolveResult

from eagle_node.runtime.lookup import Found, Resolver


class HostNames(AbstractResolver):
    """A `Resolver` as aiohttp wants it; its errors are `OSError`s that tell people why."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of ``host``, of one family if one is named."""
        found = await self._resolver.addresses(host)
        wanted = [each for each in found if family in (socket.AF_UNSPEC, each[0])]
        return [_result(host, port, each) for each in wanted]

    async def close(self) -> None:
        """Nothing is held: look-ups that are under way end on their own."""


def _result(host: str, port: int, found: Found) -> ResolveResult:
    family, where = found
    scope = f"%{where[3]}" if len(where) == 4 and where[3] else ""
    return ResolveResult(
        hostname=host,
        host=f"{where[0].partition('%')[0]}{scope}",
        port=port,
        family=family,
        proto=0,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
