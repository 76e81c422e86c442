"""The virtual address of this node: taken with the lease, given back before anything else."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import Self

from eagle_node.base.errors import StartError, Unavailable
from eagle_node.config.places import VipAddress
from eagle_node.runtime.clock import Clock, monotonic
from eagle_node.runtime.tasks import TaskSet, finish
from eagle_node.vip import sockets
from eagle_node.vip.netlink import AddressTable, open_address_table
from eagle_node.vip.placement import Interface, choose_interface
from eagle_node.vip.policy import ANSWER_S, CONFLICT_GRACE_S, announcement_pauses, lifetime_s
from eagle_node.vip.wire import mac_text

log = logging.getLogger(__name__)


class Vip:
    """Carries ``vip`` on this node while its lease lasts.

    ``async with`` finds the interface, checks the privileges and removes what a killed run has left
    (`StartError` when any of it fails); leaving gives the address back.

    **The bound.** The address is gone at most `policy.LATE_S` after the ``valid_until`` of the
    latest `acquire`: taken away by this process when it runs, by the kernel when it is killed,
    stopped or stuck. One window is left: a process that is stopped between its last look at the
    clock and the kernel's answer may, once it goes on, put the address back for the milliseconds
    until it looks at the clock again. A virtual machine that is suspended as a whole does not see
    time pass.
    """

    def __init__(self, vip: VipAddress, *, clock: Clock = monotonic) -> None:
        self._vip = vip
        self._clock = clock
        self._turn = asyncio.Lock()
        self._tasks = TaskSet()
        self._resources = AsyncExitStack()
        self._table: AddressTable
        self._interface: Interface
        self._valid_until = 0.0
        """End of the lease; in the past when there is none."""
        self._has_lapsed = False
        """A lease has ended whose address may still be here."""
        self._kernel_until = 0.0
        """When the lifetime ends that the kernel was last given."""
        self._epoch: int | None = None
        """Of the lease that the address was added under; None: it was not."""
        self._announcing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as resources:
            self._table = await resources.enter_async_context(open_address_table())
            await self._table.check_privilege(self._vip)
            sockets.check_privilege(self._vip)
            self._interface = choose_interface(self._vip, await self._table.interfaces())
            await self._clear()
            self._resources = resources.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self.release()
        finally:
            await self._resources.aclose()

    @property
    def epoch(self) -> int | None:
        """Fencing epoch under which this node has the address; None when it does not."""
        return self._epoch if self._clock() < self._kernel_until else None

    @property
    def interface(self) -> str:
        """Name of the interface that the address belongs to."""
        return self._interface.name

    async def acquire(self, epoch: int, valid_until: float) -> None:
        """Have the address until ``valid_until`` (monotonic seconds); call again at each renewal.

        The first call under a lease asks the neighbours whether the address is free, which takes
        0.3 s. `Unavailable` when it is not (the text names the MAC), when the kernel refuses, or
        when less than a second of the lease is left: a new address is then not added, one that is
        here ends with the lifetime that it has.
        """
        self._has_lapsed |= self._clock() >= self._valid_until
        self._valid_until = max(self._valid_until, valid_until)
        async with self._turn:
            if self._has_lapsed:
                self._has_lapsed = False
                await self._withdraw()
            if self._epoch is None:
                await self._take(epoch)
            else:
                await self._extend()
            self._epoch = epoch

    async def release(self) -> None:
        """Remove the address now; nothing happens when it is not here. Finishes when cancelled."""
        self._valid_until = 0.0
        await finish(self._release(), name=f"release of {self._vip.ip}")

    async def _release(self) -> None:
        async with self._turn:
            await self._withdraw()
            await self._tasks.cancel()

    async def _take(self, epoch: int) -> None:
        await self._check_free()
        await self._put()
        log.info(
            "virtual address %s is on %s (epoch %d)", self._vip.ip, self._interface.name, epoch
        )
        self._tasks.spawn(self._watch(), name=f"end of the lease of {self._vip.ip}")
        self._start_announcing()

    async def _check_free(self) -> None:
        """`Unavailable` when somebody has the address, and still after a former holder's grace."""
        deadline = self._clock() + CONFLICT_GRACE_S
        while self._clock() < self._valid_until:
            mac = await sockets.find_holder(self._interface.name, self._vip.ip)
            if mac is None:
                return
            if self._clock() >= deadline:
                raise Unavailable(
                    f"{mac_text(mac)} on {self._interface.name} answers for {self._vip.ip}: "
                    "take the address away there, or choose another --vip"
                )
            await asyncio.sleep(sockets.PROBE_INTERVAL_S)

    async def _extend(self) -> None:
        """Let the kernel keep the address for longer; announce it anew if it was gone meanwhile."""
        was_gone = self._clock() >= self._kernel_until
        if was_gone or lifetime_s(self._valid_until - self._clock()) is not None:
            await self._put()
        if was_gone:
            self._start_announcing()

    async def _put(self) -> None:
        """Add the address, or set its lifetime anew, and never for longer than the lease."""
        asked = self._clock()
        lifetime = lifetime_s(self._valid_until - asked)
        if lifetime is None:
            raise Unavailable(f"the lease of {self._vip.ip} is over, or ends in less than a second")
        before, self._kernel_until = self._kernel_until, asked + lifetime
        try:
            await self._table.put(self._vip, self._interface, lifetime)
        except Unavailable:
            self._kernel_until = before
            raise
        if self._clock() + lifetime > self._valid_until + ANSWER_S:
            await self._withdraw()
            raise Unavailable(
                f"the lease of {self._vip.ip} ended while it was added; removed again"
            )

    def _start_announcing(self) -> None:
        if self._announcing is not None:
            self._announcing.cancel()
        self._announcing = self._tasks.spawn(
            self._announce(), name=f"announcements of {self._vip.ip}"
        )

    async def _announce(self) -> None:
        """Tell the neighbours, again and again while the address is here."""
        is_failing = False
        for pause in announcement_pauses():
            try:
                sockets.announce(self._interface.name, self._vip.ip)
            except Unavailable as error:
                if not is_failing:
                    log.warning("%s; trying again", error)
                is_failing = True
            else:
                if is_failing:
                    log.info("%s is announced again", self._vip.ip)
                is_failing = False
            await asyncio.sleep(pause)
            if self.epoch is None:
                return

    async def _watch(self) -> None:
        """Remove the address when the lease ends unrenewed."""
        while True:
            remaining = self._valid_until - self._clock()
            if remaining <= 0:
                break
            await asyncio.sleep(remaining)
        async with self._turn:
            if self._epoch is not None and self._clock() >= self._valid_until:
                log.warning("the lease of %s ended and was not renewed", self._vip.ip)
                await self._withdraw()

    async def _withdraw(self) -> None:
        """Take the address off the interface if it may be there."""
        was_here, self._epoch = self._epoch is not None, None
        if self._kernel_until:
            await self._table.remove(self._vip, self._interface.index, length=self._vip.length)
            self._kernel_until = 0.0
        if was_here:
            log.info("virtual address %s is off %s", self._vip.ip, self._interface.name)

    async def _clear(self) -> None:
        """Remove what a killed run has left; `StartError` when the address is somebody else's."""
        for placed in await self._table.find(self._vip):
            if not placed.is_ours:
                raise StartError(
                    f"--vip {self._vip}: this host has {self._vip.ip} already, for good; choose an "
                    "address that belongs to no host"
                )
            await self._table.remove(self._vip, placed.index, length=placed.length)
            log.info("removed %s, which a former run has left", self._vip.ip)
