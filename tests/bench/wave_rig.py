"""The rig of the cold wave: real nodes in network namespaces with shaped links, a real origin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.bench.wave_clients import REGISTRY, REPOSITORY, Client, Place, client
from tests.bench.wave_run import Wave
from tests.bench.wave_scenario import MBIT, Scenario
from tests.support.images import Image, push, random_image
from tests.support.netns import Network, network
from tests.support.node import Node, eagle_node
from tests.support.registry import Registry, docker_registry

AT_ONCE = 4
"""Processes that are started at a time: two cores start more of them no sooner."""


@asynccontextmanager
async def rig(scenario: Scenario, directory: Path) -> AsyncIterator[Wave]:
    """The network, the origin with the image, nodes and clients, all ready.

    Links have their rates before nodes start, as they have in the world.
    """
    async with AsyncExitStack() as stack:
        net = await stack.enter_async_context(network(_zones(scenario)))
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
        await net.shape(f"n{index}", int(scenario.rate_of(index) * MBIT))
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
    """The first node is the seeder; the tracker is the second, when there is one to be killed."""
    registries = ("--registry", f"{REGISTRY}={registry.url}", "--default-registry", REGISTRY)
    common = (*registries, *scenario.flags)
    nodes: list[Node] = []

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

    if scenario.kill_tracker:
        first, second = (net[name].address for name in ("n0", "n1"))
        pins = ("--seeder", f"{first}:55008", "--tracker", f"http://{second}:6969")
        seeder = ("--role", "proxy,peer,seeder", "--metainfo-port", "55008")
        nodes.append(await start(0, *seeder, *pins))
        tracker = ("--role", "proxy,peer,tracker", "--tracker-port", "6969")
        nodes.append(await start(1, *tracker, *pins))
    else:
        nodes.append(await start(0))
        pins = ("--seeder", nodes[0].metainfo, "--tracker", nodes[0].tracker_url)
    for batch in range(len(nodes), scenario.nodes, AT_ONCE):
        indices = range(batch, min(batch + AT_ONCE, scenario.nodes))
        async with asyncio.TaskGroup() as group:
            starting = [
                group.create_task(start(index, "--role", "proxy,peer", *pins)) for index in indices
            ]
        nodes += [task.result() for task in starting]
    return nodes


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
