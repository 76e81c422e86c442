"""The address is on an interface while its lease lasts, and no longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.vip.rig import VIPS, addresses, holder, lan, until_addresses
from tests.support.process import run

pytestmark = pytest.mark.parametrize("vip", VIPS)


async def test_a_holder_that_ends_takes_the_address_along(vip: str, tmp_path: Path) -> None:
    """On SIGTERM the address is gone before the process is."""
    async with (
        lan("a") as net,
        holder(net["a"], vip, tmp_path, "--lease", "60") as process,
    ):
        assert vip in await addresses(net["a"])
        assert await process.terminate() == 0
        assert vip not in await addresses(net["a"])


async def test_a_lease_that_is_not_renewed_ends(vip: str, tmp_path: Path) -> None:
    """The process goes on, without the address; the network's own route stays."""
    arguments = ("--lease", "1.5", "--renewals", "0")
    async with lan("a") as net, holder(net["a"], vip, tmp_path, *arguments) as process:
        await until_addresses(net["a"], lambda held: vip not in held, what="the lease to end")
        assert process.status is None
        assert len(await addresses(net["a"])) == 3
        family = "-6" if ":" in vip else "-4"
        routes = await run(["ip", "-n", net["a"].namespace, family, "route"])
        network = "fd77::/64" if ":" in vip else "10.77.0.0/16"
        assert f"{network} dev eth0" in routes.stdout


async def test_the_next_start_removes_what_a_killed_run_left(vip: str, tmp_path: Path) -> None:
    """A process that has no lease yet clears the address away when it starts."""
    async with lan("a") as net:
        async with holder(net["a"], vip, tmp_path, "--lease", "60") as killed:
            await killed.kill()
        assert vip in await addresses(net["a"])
        async with holder(net["a"], vip, tmp_path, says="ready") as restarted:
            assert vip not in await addresses(net["a"])
            assert "which a former run has left" in restarted.log()


async def test_the_kernel_removes_what_a_killed_run_left(vip: str, tmp_path: Path) -> None:
    """Nobody restarts it; the address ends with its lease all the same."""
    async with lan("a") as net:
        async with holder(net["a"], vip, tmp_path, "--lease", "2") as killed:
            await killed.kill()
        assert vip in await addresses(net["a"])
        await until_addresses(net["a"], lambda held: vip not in held, what="the lifetime to end")


async def test_an_address_that_is_taken_away_comes_back(vip: str, tmp_path: Path) -> None:
    """Who flushes the interface takes the address away until the next renewal only."""
    async with lan("a") as net, holder(net["a"], vip, tmp_path, "--lease", "60"):
        await run(["ip", "-n", net["a"].namespace, "addr", "del", vip, "dev", "eth0"])
        await until_addresses(net["a"], lambda held: vip in held, what="the next renewal")
