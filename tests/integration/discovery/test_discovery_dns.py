"""Names are followed as a real DNS server changes its records."""

from __future__ import annotations

import logging
import os
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

import pytest

from eagle_node.config.places import DnsTarget, HostTarget
from eagle_node.discovery.service import Discovery
from eagle_node.runtime.sockets import Address
from tests.support.dns import dns_server
from tests.support.process import Process
from tests.support.waiting import until

WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
SERVER = Address(f"127.0.{WORKER}.53", 20053)
"""Another one for each of the processes that run tests side by side."""
NODES = DnsTarget(name="nodes.test", port=7946)
TWO = ("host-record=a.test,10.0.0.1,2001:db8::1", "host-record=b.test,10.0.0.2")


def discovery(*targets: DnsTarget | HostTarget, own: str = "") -> Discovery:
    """Discovery that asks the test's server twice a second."""
    return Discovery(
        targets,
        is_own=lambda address: address.host == own,
        resolver=SERVER,
        least_s=0.5,
        most_s=0.5,
    )


def serving(directory: Path, *records: str) -> AbstractAsyncContextManager[Process]:
    """The test's server with ``records``."""
    return dns_server(directory, SERVER.host, SERVER.port, records)


async def until_found(found: Discovery, *addresses: Address) -> None:
    """Wait until discovery knows these addresses and no others."""

    async def is_found() -> bool:
        return found.addresses() == frozenset(addresses)

    await until(is_found, what=f"{[str(address) for address in addresses]}")


@pytest.mark.parametrize("owner", ["_eagle-node._udp.nodes.test", "nodes.test"])
async def test_srv_records_name_hosts_and_ports(owner: str, tmp_path: Path) -> None:
    """Below the service's label or at the name itself; each target in both families."""
    records = [*TWO, f"srv-host={owner},a.test,7001", f"srv-host={owner},b.test,7002"]
    async with serving(tmp_path, *records), discovery(NODES) as found:
        await found.first_look()
        assert found.addresses() == {
            Address("10.0.0.1", 7001),
            Address("2001:db8::1", 7001),
            Address("10.0.0.2", 7002),
        }


async def test_without_srv_the_addresses_of_the_name_count(tmp_path: Path) -> None:
    """A and AAAA records, with the port of the target; this node's own is left out."""
    records = ["host-record=nodes.test,10.0.0.1,2001:db8::1"]
    async with serving(tmp_path, *records), discovery(NODES, own="10.0.0.1") as found:
        await found.first_look()
        assert found.addresses() == {Address("2001:db8::1", 7946)}


async def test_host_names_have_both_families(tmp_path: Path) -> None:
    """``--join HOST:PORT`` resolves IPv4 and IPv6; an IP literal needs no server."""
    targets = [HostTarget(address=Address(host, 7)) for host in ("a.test", "192.0.2.7")]
    async with serving(tmp_path, *TWO), discovery(*targets) as found:
        await found.first_look()
        assert {address.host for address in found.addresses()} == {
            *("10.0.0.1", "2001:db8::1", "192.0.2.7")
        }


async def test_changes_and_outages_are_followed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A dead server leaves the last answer; it is told of once, and once when it is back."""
    caplog.set_level(logging.INFO, "eagle_node.discovery")
    async with AsyncExitStack() as first, discovery(NODES) as found:
        await first.enter_async_context(serving(tmp_path, "host-record=nodes.test,10.0.0.1"))
        heard = found.new_addresses()
        assert await anext(heard) == Address("10.0.0.1", 7946)
        caplog.clear()
        await first.aclose()

        async def is_told() -> bool:
            return "trying again" in caplog.text

        await until(is_told, what="the outage to be told")
        assert found.addresses() == {Address("10.0.0.1", 7946)}
        async with serving(tmp_path, "host-record=nodes.test,10.0.0.2"):
            assert await anext(heard) == Address("10.0.0.2", 7946)
            await until_found(found, Address("10.0.0.2", 7946))

            async def is_well() -> bool:
                return "found again" in caplog.text

            await until(is_well, what="the recovery to be told")
    told = [r.levelname for r in caplog.records if r.name == "eagle_node.discovery.service"]
    assert told == ["WARNING", "INFO"]
