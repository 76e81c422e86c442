"""Nodes that find each other from nothing, and share out the roles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.support.dns import dns_server
from tests.support.fleet import BLOB, fleet
from tests.support.netns import Host, Network
from tests.support.pulls import traffic

Flags = Callable[[Host, Network], Sequence[str]]


def by_multicast(_: Host, __: Network) -> Sequence[str]:
    """Nothing is said."""
    return ()


def by_one_address(_: Host, net: Network) -> Sequence[str]:
    """All are told of the first, itself included."""
    return ("--join", net["n1"].address)


def by_name(_: Host, net: Network) -> Sequence[str]:
    """All ask a DNS server for one name."""
    return ("--join", "dns:nodes.test", "--resolver", net["origin"].address)


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(by_multicast, id="mdns"),
        pytest.param(by_one_address, id="address", marks=pytest.mark.slow),
    ],
)
async def test_five_nodes_make_a_cluster(flags: Flags, tmp_path: Path) -> None:
    """They agree on a leader, three trackers and two seeders; the registry sends a blob once."""
    async with fleet(tmp_path, 5, own_flags=flags, blobs=2) as nodes:
        statuses = await nodes.agreed()
        assert {status["cluster"]["name"] for status in statuses} == {"default"}
        assert {status["cluster"]["term"] for status in statuses} == {
            statuses[0]["cluster"]["term"]
        }
        for digest in nodes.blobs:
            await nodes.pull(list(nodes.nodes.values()), digest)
        assert await nodes.registry.blob_requests() == dict.fromkeys(nodes.blobs, 1)
        accounts = [await traffic(node) for node in nodes.nodes.values()]
        assert sum(account["origin_bytes"] for account in accounts) == len(nodes.blobs) * BLOB


async def test_a_name_leads_to_the_cluster(tmp_path: Path) -> None:
    """Addresses of a DNS name are tried until somebody answers there."""
    async with fleet(tmp_path, 3, own_flags=by_name, blobs=1) as nodes:
        origin, records = nodes.net["origin"], nodes.net.hosts
        names = [f"host-record=nodes.test,{host.address}" for host in records if host != origin]
        async with dns_server(tmp_path, origin.address, 53, names, namespace=origin.namespace):
            await nodes.agreed()
        await nodes.pull(list(nodes.nodes.values()), nodes.blobs[0])
