"""The rig of the cold wave: real nodes in network namespaces with shaped links, a real origin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.bench.wave_clients import REGISTRY, REPOSITORY, Client, Place, client
from tests.bench.wave_disturbance import METAINFO_PORT, TRACKER_PORT
from tests.bench.wave_run import Wave
from tests.bench.wave_scenario import MBIT, Scenario
from tests.support.fleet import is_whole
from tests.support.images import Image, push, random_image
from tests.support.netns import Network, network
from tests.support.node import Node, eagle_node
from tests.support.registry import Registry, docker_registry
from tests.support.waiting import until

AT_ONCE = 4
"""Processes that are started at a time: two cores start more of them no sooner."""


@asynccontextmanager
async def rig(scenario: Scenario, directory: Path) -> AsyncIterator[Wave]:
    """The network, the origin with the image, nodes and clients, all ready.

    Links have their rates before nodes start, as they have in the world.
    """
    async with AsyncExitStack() as stack:
        made = network(_zones(scenario), congestion_control=scenario.congestion_control)
        net = await stack.enter_async_context(made)
        origin = net["origin"]
        registry = await stack.enter_async_context(
            docker_registry(directory / "origin", host=origin.address, namespace=origin.namespace)
        )
        image = await asyncio.to_thread(random_image, directory / "image", scenario.sizes)
        await push(image, registry, REPOSITORY)
        await _shape(scenario, net)
        nodes = await _start_nodes(scenario, net, registry, directory, stack)
        clients = await _start_clients(scenario, image, nodes, stack)
        stack.push_async_callback(_stop, nodes)
        yield Wave(
            scenario=scenario,
            directory=directory,
            net=net,
            registry=registry,
            image=image,
            nodes=nodes,
            clients=clients,
        )


async def _stop(nodes: Sequence[Node]) -> None:
    """Kill all nodes at once: their data is thrown away, and a frozen one hears nothing else."""
    await asyncio.gather(*(node.kill() for node in nodes))


async def _shape(scenario: Scenario, net: Network) -> None:
    await net.shape("origin", int((scenario.origin_rate or scenario.rate) * MBIT))
    for index in range(scenario.nodes):
        rate = scenario.rate if scenario.sudden else scenario.rate_of(index)
        await net.shape(f"n{index}", int(rate * MBIT))
    if scenario.border is not None:
        for zone in range(scenario.zones):
            await net.shape(f"zone:z{zone}", int(scenario.border * MBIT))


def _zones(scenario: Scenario) -> Mapping[str, Sequence[str]]:
    zones: dict[str, list[str]] = {"origin": ["origin"]}
    for index in range(scenario.nodes):
        zones.setdefault(f"z{scenario.zone_of(index)}", []).append(f"n{index}")
    return zones


async def _start_nodes(
    scenario: Scenario, net: Network, registry: Registry, directory: Path, stack: AsyncExitStack
) -> list[Node]:
    """Unless roles are elected, the first node is the seeder; it is the tracker too, or the second
    is when there is one to be killed.
    """
    registries = ("--registry", f"{REGISTRY}={registry.url}", "--default-registry", REGISTRY)
    common = (*registries, *scenario.flags)
    nodes: list[Node] = []
    others: tuple[str, ...]

    async def start(index: int, *flags: str) -> Node:
        host = net[f"n{index}"]
        zone = ("--zone", f"z{scenario.zone_of(index)}") if scenario.zones > 1 else ()
        return await stack.enter_async_context(
            eagle_node(
                directory / host.name,
                *(*common, *zone, *flags),
                host=host.address,
                namespace=host.namespace,
            )
        )

    if scenario.elected:
        ports = ("--metainfo-port", str(METAINFO_PORT), "--tracker-port", str(TRACKER_PORT))
        others = ("--role", "auto", "--join", f"{net['n0'].address}:7946", *ports)
        nodes.append(await start(0, *others))
    elif scenario.kill_tracker:
        first, second = (net[name].address for name in ("n0", "n1"))
        pins = ("--seeder", f"{first}:55008", "--tracker", f"http://{second}:6969")
        seeder = ("--role", "proxy,peer,seeder", "--metainfo-port", "55008")
        nodes.append(await start(0, *seeder, *pins))
        tracker = ("--role", "proxy,peer,tracker", "--tracker-port", "6969")
        nodes.append(await start(1, *tracker, *pins))
        others = ("--role", "proxy,peer", *pins)
    else:
        nodes.append(await start(0))
        others = nodes[0].pins
    for batch in range(len(nodes), scenario.nodes, AT_ONCE):
        indices = range(batch, min(batch + AT_ONCE, scenario.nodes))
        async with asyncio.TaskGroup() as group:
            starting = [group.create_task(start(index, *others)) for index in indices]
        nodes += [task.result() for task in starting]
    if scenario.elected:
        await until(lambda: _agree(nodes), what="the nodes to agree", timeout=60, interval=0.5)
    return nodes


async def _agree(nodes: Sequence[Node]) -> bool:
    """Whether all know each other and one leader, and every role is held."""
    return is_whole(await asyncio.gather(*(node.status() for node in nodes)))


async def _start_clients(
    scenario: Scenario, image: Image, nodes: Sequence[Node], stack: AsyncExitStack
) -> list[Client]:
    """A client beside each node, with the node as its mirror."""
    clients: list[Client] = []
    for batch in range(0, len(nodes), AT_ONCE):
        starting = []
        async with asyncio.TaskGroup() as group:
            for node in nodes[batch : batch + AT_ONCE]:
                assert node.namespace is not None
                place = Place(
                    directory=node.directory / "client",
                    namespace=node.namespace,
                    address=node.proxy_address,
                )
                made = client(scenario.runtime, image, place)
                starting.append(group.create_task(stack.enter_async_context(made)))
        clients += [task.result() for task in starting]
    return clients
