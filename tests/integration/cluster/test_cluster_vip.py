"""The virtual address of a cluster of real nodes."""

from __future__ import annotations

from pathlib import Path

from tests.integration.vip.rig import addresses
from tests.support.fleet import Fleet, fleet
from tests.support.node import Node, eagle_node
from tests.support.origin import NAME
from tests.support.waiting import until

VIP = "10.77.0.100"
FLAGS = ("--vip", f"{VIP}/16", "--metainfo-port", "55008", "--tracker-port", "6969")


async def carriers(nodes: Fleet) -> list[str]:
    """Hosts that have the address."""
    return [host.name for host in nodes.net.hosts if f"{VIP}/16" in await addresses(host)]


async def carried(nodes: Fleet, *, but: str = "") -> str:
    """Wait until exactly one host has the address; which one."""
    found: list[str] = []

    async def is_carried() -> bool:
        nonlocal found
        found = await carriers(nodes)
        return len(found) == 1 and found != [but]

    await until(is_carried, what=f"{VIP} to be somewhere else than on {but!r}", timeout=60)
    return found[0]


async def client_of_the_address(nodes: Fleet, directory: Path, *flags: str) -> None:
    """A node that knows the address only pulls through whoever carries it."""
    host = nodes.net["client"]
    origin = ("--registry", f"{NAME}={nodes.registry.url}")
    async with eagle_node(
        directory, *origin, *flags, host=host.address, namespace=host.namespace
    ) as client:
        await nodes.pull([client], nodes.blobs.pop())


async def test_the_address_is_carried_and_moves(tmp_path: Path) -> None:
    """Its holder is killed: another host has it soon, and who knows only it pulls all the time."""
    pins = ("--seeder", f"{VIP}:55008", "--tracker", f"http://{VIP}:6969")
    async with fleet(tmp_path, 3, *FLAGS, blobs=3, more=("client",)) as nodes:
        first = await carried(nodes)
        await client_of_the_address(nodes, tmp_path / "before", *pins)
        holder: Node = nodes.nodes.pop(first)
        await holder.kill()
        second = await carried(nodes, but=first)
        assert second != first
        await client_of_the_address(nodes, tmp_path / "after", *pins)
        await client_of_the_address(nodes, tmp_path / "joined", "--join", VIP)
        for node in nodes.nodes.values():
            await node.terminate()
        assert await carriers(nodes) == []
