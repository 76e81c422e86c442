"""All places at once: the addresses that they name now, and each new one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from ipaddress import ip_address
from typing import Self, assert_never

from eagle_node.base.errors import Unavailable
from eagle_node.config.places import DnsTarget, HostTarget, JoinTarget, MdnsTarget
from eagle_node.discovery.dns import Answer, Dns
from eagle_node.discovery.mdns import Mdns, MdnsIdentity
from eagle_node.runtime.sockets import Address
from eagle_node.runtime.tasks import TaskSet

log = logging.getLogger(__name__)

LEAST_S = 5.0
"""Pause between two questions of the same name, however short its records live, and failed."""
MOST_S = 60.0
"""Pause however long they live: a node that has just come up should be found within a minute."""


class Discovery:
    """Looks at ``targets`` inside ``async with``, again and again.

    ``is_own`` tells this node's own addresses (`eagle_node.discovery.own`), which are left out.
    ``identity`` is needed for an `MdnsTarget`. ``resolver`` is the DNS server to ask.
    """

    def __init__(
        self,
        targets: Sequence[JoinTarget],
        *,
        is_own: Callable[[Address], bool],
        identity: MdnsIdentity | None = None,
        resolver: Address | None = None,
        least_s: float = LEAST_S,
        most_s: float = MOST_S,
    ) -> None:
        self._targets = tuple(dict.fromkeys(targets))
        self._is_own = is_own
        self._identity = identity
        self._least_s = least_s
        self._most_s = most_s
        self._dns = Dns(resolver)
        self._tasks = TaskSet()
        self._resources = AsyncExitStack()
        self._found: dict[JoinTarget, frozenset[Address]] = {}
        """What each place last said; absent: nothing yet."""
        self._changed = asyncio.Event()
        """Set, and replaced by a fresh one, whenever `_found` changes."""
        self._looked_at: set[JoinTarget] = set()
        self._all_looked_at = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._resources.enter_async_context(self._dns)
        await self._resources.enter_async_context(self._tasks)
        for target in self._targets:
            self._tasks.spawn(self._follow(target), name=f"discovery by {target}")
        if not self._targets:
            self._all_looked_at.set()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._resources.aclose()

    def addresses(self) -> frozenset[Address]:
        """Where the cluster may answer, as known now; this node's own addresses are not among them.

        Hosts are IP literals.
        """
        found = frozenset().union(*self._found.values())
        return frozenset(address for address in found if not self._is_own(address))

    async def first_look(self) -> None:
        """Wait until each place has been looked at once, with or without success.

        The local network never says that it has nobody: it counts once this node is announced.
        """
        await self._all_looked_at.wait()

    async def new_addresses(self) -> AsyncIterator[Address]:
        """Each address when it appears, those that are known already first; without end.

        One that goes and comes back is told again.
        """
        told: frozenset[Address] = frozenset()
        while True:
            changed, now = self._changed, self.addresses()
            for address in sorted(now - told, key=str):
                yield address
            told = now
            await changed.wait()

    async def _follow(self, target: JoinTarget) -> None:
        match target:
            case HostTarget(address=address) if _is_ip(address.host):
                self._set(target, frozenset({address}))
                self._look_done(target)
            case HostTarget(address=address):
                await self._follow_name(target, lambda: self._dns.find_host(address))
            case DnsTarget():
                await self._follow_name(target, lambda: self._dns.find_nodes(target))
            case MdnsTarget():
                await self._follow_mdns(target)
            case _:
                assert_never(target)

    async def _follow_name(self, target: JoinTarget, ask: Callable[[], Awaitable[Answer]]) -> None:
        """Ask as often as the records' lifetimes say, within bounds; keep the last answer."""
        trouble = ""
        while True:
            pause = self._least_s
            try:
                answer = await ask()
            except Unavailable as error:
                trouble = self._tell(target, trouble, str(error))
            else:
                self._set(target, answer.addresses)
                trouble = self._tell(target, trouble, "" if answer.addresses else "no addresses")
                if answer.addresses:
                    pause = min(max(answer.ttl_s, self._least_s), self._most_s)
            self._look_done(target)
            await asyncio.sleep(pause)

    async def _follow_mdns(self, target: JoinTarget) -> None:
        """Stay on the local network; try again when the interface is not there."""
        if self._identity is None:
            raise ValueError("discovery by mdns needs an identity")
        trouble = ""
        while True:
            try:
                async with Mdns(self._identity, lambda found: self._set(target, found)):
                    self._tell(target, trouble, "")
                    self._look_done(target)
                    await asyncio.Event().wait()
            except Unavailable as error:
                trouble = self._tell(target, trouble, str(error))
            self._look_done(target)
            await asyncio.sleep(self._least_s)

    def _tell(self, target: JoinTarget, before: str, trouble: str) -> str:
        """Say when a place stops or starts to be of use, once; ``trouble``, to be kept."""
        if trouble and not before:
            log.warning("--join %s: %s; trying again", target, trouble)
        elif before and not trouble:
            log.info("--join %s: found again", target)
        return trouble

    def _look_done(self, target: JoinTarget) -> None:
        self._looked_at.add(target)
        if len(self._looked_at) == len(self._targets):
            self._all_looked_at.set()

    def _set(self, target: JoinTarget, addresses: frozenset[Address]) -> None:
        if self._found.get(target) != addresses:
            self._found[target] = addresses
            self._changed.set()
            self._changed = asyncio.Event()


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
