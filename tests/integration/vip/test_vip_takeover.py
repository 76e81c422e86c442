"""Neighbours follow the virtual address from one holder to the next."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.integration.vip.holder import LEASE_ENDS
from tests.integration.vip.rig import VIPS, addresses, cached_mac, holder, lan, mac
from tests.support.process import Process, running
from tests.support.waiting import until

CALLER = "tests.integration.vip.caller"


def answered(log: Path) -> list[float]:
    """When the calls were sent that have been answered."""
    return [float(line) for line in log.read_text().splitlines() if not line.startswith("#")]


def lease_end(process: Process) -> float:
    """When the latest lease of a holder ends, or was to end (monotonic seconds)."""
    lines = [line for line in process.log().splitlines() if line.startswith(LEASE_ENDS)]
    return float(lines[-1].removeprefix(LEASE_ENDS))


@pytest.mark.parametrize("vip", VIPS)
async def test_neighbours_follow_a_take_over(vip: str, tmp_path: Path) -> None:
    """A third host's cache names the new holder as soon as it has the address; calls go on."""
    log = tmp_path / "caller.log"
    async with lan("a", "b", "c") as net:
        first, second, third = net["a"], net["b"], net["c"]
        async with holder(first, vip, tmp_path, "--lease", "3") as former:
            argv = [sys.executable, "-m", CALLER, vip.partition("/")[0]]

            async def is_called() -> bool:
                return len(answered(log)) > 10

            async with running(argv, log=log, namespace=third.namespace, ready=is_called):
                assert vip in await addresses(first)
                assert await cached_mac(third, vip) == await mac(first)
                assert await former.terminate() == 0
                count = len(answered(log))
                assert vip not in await addresses(first)
                async with holder(second, vip, tmp_path, "--lease", "3"):

                    async def is_known() -> bool:
                        return await cached_mac(third, vip) == await mac(second)

                    await until(is_known, what="the neighbour to follow")

                    async def is_answered_again() -> bool:
                        return len(answered(log)) > count + 10

                    await until(is_answered_again, what="answers of the new holder")


@pytest.mark.parametrize("vip", VIPS)
async def test_a_stopped_holder_loses_the_address_with_its_lease(vip: str, tmp_path: Path) -> None:
    """While its process is stopped the kernel takes it away; going on does not bring it back.

    The next holder has its lease from the moment when that of the former one is over; it takes over
    in spite of the former one's kernel, which is late, and neighbours follow.
    """
    async with lan("a", "b", "c") as net:
        first, second, third = net["a"], net["b"], net["c"]
        async with holder(first, vip, tmp_path, "--lease", "2", "--renewals", "3") as former:
            former.signal(signal.SIGSTOP)
            assert vip in await addresses(first)
            after = str(lease_end(former))
            async with holder(second, vip, tmp_path, "--lease", "60", "--after", after):
                assert vip not in await addresses(first)
                former.signal(signal.SIGCONT)

                async def has_noticed() -> bool:
                    return "is off eth0" in former.log()

                await until(has_noticed, what="the former holder to notice")
                assert vip not in await addresses(first)
                assert vip in await addresses(second)
                assert await cached_mac(third, vip) in (None, await mac(second))
