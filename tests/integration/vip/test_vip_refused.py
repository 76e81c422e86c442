"""What keeps the address away, said clearly."""

from __future__ import annotations

import pytest

from tests.integration.vip.rig import VIPS, addresses, lan, mac, refusal
from tests.support.process import run

pytestmark = pytest.mark.parametrize("vip", VIPS)


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("net_admin", "may not change addresses; run it as root or with CAP_NET_ADMIN"),
        ("net_raw", "may not announce addresses; run it as root or with CAP_NET_RAW"),
    ],
)
async def test_a_missing_privilege_is_told_at_start(vip: str, missing: str, told: str) -> None:
    """Before any lease, and before anything is changed."""
    wrapper = ["setpriv", f"--bounding-set=-{missing}", f"--inh-caps=-{missing}", "--"]
    async with lan("a") as net:
        before = await addresses(net["a"])
        assert told in await refusal(net["a"], vip, "--lease", "60", wrapper=wrapper)
        assert await addresses(net["a"]) == before


async def test_an_address_in_use_is_not_taken(vip: str) -> None:
    """Somebody who is no former holder has it: the error names their MAC."""
    async with lan("a", "b") as net:
        await run(["ip", "-n", net["b"].namespace, "addr", "add", vip, "dev", "eth0", "nodad"])
        told = f"{await mac(net['b'])} on eth0 answers for {vip.partition('/')[0]}"
        assert told in await refusal(net["a"], vip, "--lease", "60")
        assert vip not in await addresses(net["a"])


async def test_a_hosts_own_address_is_no_virtual_one(vip: str) -> None:
    """What an administrator has put on this host is neither removed nor shared."""
    async with lan("a") as net:
        await run(["ip", "-n", net["a"].namespace, "addr", "add", vip, "dev", "eth0", "nodad"])
        assert "choose an address that belongs to no host" in await refusal(net["a"], vip)
        assert vip in await addresses(net["a"])
