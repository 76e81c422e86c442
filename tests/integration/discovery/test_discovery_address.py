"""The address that a node gives to others when it is told none."""

from __future__ import annotations

from eagle_node.config.load import load
from eagle_node.node.identity import advertised_host
from tests.support.http import entered
from tests.support.netns import network
from tests.support.process import run


def advertised(namespace: str, *join: str) -> str:
    """What a node on that host advertises that is to join those."""
    with entered(namespace):
        return advertised_host(load({"join": join} if join else {}, file=None, environment={}))


async def test_a_node_advertises_an_address_that_others_reach() -> None:
    """Without any route out it is the network's own, and with several that towards the others."""
    async with network(["host"]) as net:
        host = net["host"]
        assert advertised(host.namespace) == host.address
        assert advertised(host.namespace, "127.0.0.1", host.address) == host.address
        for words in (
            ["link", "add", "outside", "type", "bridge"],
            ["address", "add", "10.99.0.1/24", "dev", "outside"],
            ["link", "set", "outside", "up"],
            ["route", "add", "default", "via", "10.99.0.254"],
        ):
            await run(["ip", "-n", host.namespace, *words])
        assert advertised(host.namespace) == "10.99.0.1"
        assert advertised(host.namespace, "10.77.9.9") == host.address
        await run(["ip", "-n", host.namespace, "link", "set", "outside", "down"])
        assert advertised(host.namespace) == host.address
        await run(["ip", "-n", host.namespace, "link", "set", "eth0", "down"])
        assert advertised(host.namespace) == "127.0.0.1"
