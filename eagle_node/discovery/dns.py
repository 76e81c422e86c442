"""DNS: host names, and names whose SRV, A and AAAA records are the nodes (aiodns)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from eagle_node.base.errors import Unavailable
from eagle_node.config.places import DnsTarget
from eagle_node.runtime.sockets import Address

if TYPE_CHECKING:
    from aiodns import DNSResolver

SERVICE = "_eagle-node._udp"
"""SRV owner name below a domain (RFC 2782)."""

_TIMEOUT_S = 2.0
"""Of one question to one server; it is asked twice."""
_TRIES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a name stands for now."""

    addresses: frozenset[Address]
    ttl_s: float
    """How long that holds; infinite when no record tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Service:
    """One SRV record."""

    address: Address
    """Its target, a name, and its port."""
    ttl_s: float


class _NoSuchName(Exception):
    """The server says that there is no such name or record."""


class Dns:
    """Asks ``resolver``, else the servers of ``/etc/resolv.conf``; ``async with`` closes it."""

    def __init__(self, resolver: Address | None = None) -> None:
        self._servers = [str(resolver)] if resolver else None
        self._resolver: DNSResolver | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._resolver is not None:
            await self._resolver.close()
            self._resolver = None

    async def find_nodes(self, target: DnsTarget) -> Answer:
        """The nodes of a name: its SRV records, else its addresses. `Unavailable` as `find_host`.

        SRV records are looked for below `SERVICE` first, then at the name itself; what they name
        is resolved in turn, and a target that is not to be found leaves the others unharmed.
        """
        for owner in (f"{SERVICE}.{target.name}", target.name):
            try:
                services = await self._services(owner)
            except _NoSuchName:
                continue
            return await self._find_targets(services)
        return await self.find_host(Address(target.name, target.port))

    async def find_host(self, address: Address) -> Answer:
        """A host's IPv4 and IPv6 addresses; ``/etc/hosts`` counts.

        `Unavailable` when no server answers; a name without addresses has none.
        """
        try:
            result = await self._ask().getaddrinfo(address.host, port=address.port)
        except self._errors() as error:
            if _is_absence(error):
                return Answer(addresses=frozenset(), ttl_s=math.inf)
            raise _unavailable(address.host, error) from error
        return Answer(
            addresses=frozenset(
                Address(_text(node.addr[0]), address.port) for node in result.nodes
            ),
            ttl_s=min((float(node.ttl) for node in result.nodes), default=math.inf),
        )

    async def _find_targets(self, services: Sequence[_Service]) -> Answer:
        found = await asyncio.gather(
            *(self.find_host(each.address) for each in services), return_exceptions=True
        )
        answers = [answer for answer in found if isinstance(answer, Answer)]
        errors = [error for error in found if isinstance(error, BaseException)]
        for error in errors:
            if not isinstance(error, Unavailable) or not answers:
                raise error
        ttls = [*(each.ttl_s for each in services), *(each.ttl_s for each in answers)]
        return Answer(
            addresses=frozenset().union(*(answer.addresses for answer in answers)),
            ttl_s=0.0 if errors else min(ttls, default=math.inf),
        )

    async def _services(self, owner: str) -> list[_Service]:
        """The SRV records of ``owner`` that name a host (RFC 2782: ``.`` is no service)."""
        from pycares import SRVRecordData

        try:
            result = await self._ask().query_dns(owner, "SRV")
        except self._errors() as error:
            if _is_absence(error):
                raise _NoSuchName from error
            raise _unavailable(owner, error) from error
        services = [
            _Service(address=Address(_text(each.data.target), each.data.port), ttl_s=each.ttl)
            for each in result.answer
            if isinstance(each.data, SRVRecordData)
        ]
        if not services:
            raise _NoSuchName
        return [each for each in services if each.address.host not in ("", ".")]

    def _ask(self) -> DNSResolver:
        if self._resolver is None:
            from aiodns import DNSResolver

            self._resolver = DNSResolver(
                nameservers=self._servers, timeout=_TIMEOUT_S, tries=_TRIES
            )
        return self._resolver

    def _errors(self) -> type[Exception]:
        from aiodns.error import DNSError

        return DNSError


def _is_absence(error: Exception) -> bool:
    """Whether the server knows for sure: NXDOMAIN, or a name without such records."""
    from aiodns.error import ARES_ENODATA, ARES_ENOTFOUND

    return error.args[0] in (ARES_ENODATA, ARES_ENOTFOUND)


def _unavailable(name: str, error: Exception) -> Unavailable:
    return Unavailable(f"cannot resolve {name}: {error.args[-1]}")


def _text(value: str | bytes) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else value
