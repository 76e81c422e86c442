"""Nodes that die, freeze or are cut off while the others pull."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.fleet import BLOB, SEEDERS, Fleet, cut, fleet, mend
from tests.support.node import Node
from tests.support.pulls import traffic
from tests.support.waiting import until


async def victim_of(nodes: Fleet, who: str) -> Node:
    """The leader, the node that has the virtual address, or a holder of a role."""
    match who:
        case "leader":
            return await nodes.leader()
        case "vip":
            await nodes.agreed()
            return await nodes.named(has_address)
        case _:
            return await nodes.holder(who)


def has_address(status: dict[str, Any]) -> bool:
    """Whether a node has the lease of the virtual address."""
    holder: str = status["cluster"]["vip"]["holder"]
    own: str = status["node"]["id"]
    return holder == own


async def in_the_middle(nodes: Fleet, others: list[Node], digest: str) -> asyncio.Task[None]:
    """A pull of a blob by all of ``others`` of which each has had some bytes."""
    pull = asyncio.create_task(nodes.pull(others, digest))
    before = [(await traffic(node))["served_bytes"] for node in others]

    async def has_some() -> bool:
        served = [(await traffic(node))["served_bytes"] for node in others]
        return all(now - then > BLOB // 8 for now, then in zip(served, before, strict=True))

    await until(has_some, what="everybody to be in the middle")
    return pull


CASES = [("kill", "leader"), ("freeze", "seeder")]
MORE = [
    pytest.param(how, who, marks=pytest.mark.slow)
    for how in ("kill", "freeze", "cut")
    for who in ("leader", "seeder", "tracker", "vip")
    if (how, who) not in CASES
]


@pytest.mark.parametrize(("how", "who"), [*CASES, *MORE])
async def test_pulls_go_on_without_a_node(how: str, who: str, tmp_path: Path) -> None:
    """The others' pulls end right, they share out its roles anew, and it finds its way back."""
    async with fleet(tmp_path, 5, "--vip", "10.77.0.100/16", blobs=3) as nodes:
        first, second, third = nodes.blobs
        victim = await victim_of(nodes, who)
        others = [node for node in nodes.nodes.values() if node is not victim]
        pull = await in_the_middle(nodes, others, first)
        if how == "kill":
            await victim.kill()
        elif how == "freeze":
            victim.process.signal(signal.SIGSTOP)
        else:
            await cut(nodes.host(victim))
        await pull
        await nodes.pull(others, second)
        await nodes.agreed(others)
        if how == "kill":
            await victim.start()
        elif how == "freeze":
            victim.process.signal(signal.SIGCONT)
        else:
            await mend(nodes.host(victim))
        await nodes.agreed()
        await nodes.pull(list(nodes.nodes.values()), third)


@pytest.mark.slow
async def test_a_successor_is_waited_for_when_all_seeders_die_at_once(tmp_path: Path) -> None:
    """One of those that pull takes their place, or two; the others leave the registry alone."""
    async with fleet(tmp_path, 6, blobs=1) as nodes:
        statuses = await nodes.agreed()
        roles = {
            node: status["node"]["roles"]
            for node, status in zip(nodes.nodes.values(), statuses, strict=True)
        }
        seeders = [node for node, held in roles.items() if "seeder" in held]
        others = [node for node in roles if node not in seeders]
        pull = await in_the_middle(nodes, others, nodes.blobs[0])
        await asyncio.gather(*(node.kill() for node in seeders))
        await pull
        fetched = [(await traffic(node))["origin_bytes"] for node in others]
        assert len([each for each in fetched if each]) <= SEEDERS


async def test_a_rolling_restart_fails_no_pull(tmp_path: Path) -> None:
    """Each node in turn stops and starts again, while the others pull without a break."""
    async with fleet(tmp_path, 4, blobs=12) as nodes:
        waiting = list(nodes.blobs)
        for node in nodes.nodes.values():
            others = [each for each in nodes.nodes.values() if each is not node]
            restart = asyncio.create_task(node.restart())
            while not restart.done():
                await nodes.pull(others, waiting.pop() if len(waiting) > 1 else waiting[0])
            await restart
        await nodes.agreed()
        await nodes.pull(list(nodes.nodes.values()), waiting[0])
