"""Nodes on one link find each other by multicast DNS."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from pathlib import Path

from tests.support.netns import Host, network
from tests.support.process import Process, running
from tests.support.waiting import until


async def seeker(stack: AsyncExitStack, host: Host, cluster: str, directory: Path) -> Process:
    """A node on ``host`` that looks for ``cluster``."""
    node_id = host.name * 32
    argv = [sys.executable, "-m", "tests.integration.discovery.seeker"]
    return await stack.enter_async_context(
        running(
            [*argv, node_id, cluster, host.address],
            log=directory / f"{host.name}.log",
            namespace=host.namespace,
        )
    )


async def until_known(process: Process, *hosts: Host) -> None:
    """Wait until the node knows exactly ``hosts``."""
    known = "knows: " + " ".join(sorted(f"{host.address}:7946" for host in hosts))

    async def is_known() -> bool:
        return process.log().splitlines()[-1:] == [known]

    await until(is_known, what=f"{process.log_path.name}: {known}")


async def test_nodes_of_a_cluster_find_each_other(tmp_path: Path) -> None:
    """Three nodes learn of the two others, not of another cluster's; who leaves is forgotten."""
    async with network(["a", "b", "c", "d"]) as net, AsyncExitStack() as stack:
        a, b, c, d = net.hosts
        ours = [await seeker(stack, host, "ours", tmp_path) for host in (a, b, c)]
        theirs = await seeker(stack, d, "theirs", tmp_path)
        await until_known(ours[0], b, c)
        await until_known(ours[1], a, c)
        await until_known(ours[2], a, b)
        await until_known(theirs)
        assert await ours[2].terminate() == 0
        await until_known(ours[0], b)
        await until_known(ours[1], a)
