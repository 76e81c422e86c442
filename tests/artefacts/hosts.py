"""The installer over ssh, with three hosts that are namespaces with a Debian and systemd each.

``REMOTE`` stands where ``ssh`` does.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from tests.artefacts.machine import Machine, debian_with_systemd, machine, root_over
from tests.artefacts.starts import Dist
from tests.support.netns import network
from tests.support.process import CommandFailed, run
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
INSTALLER = ROOT / "examples" / "three-hosts" / "install.sh"


async def install(dist: Dist, directory: Path) -> None:
    """Install three hosts, twice; each then counts three members."""
    base = await debian_with_systemd(dist.work)
    async with network(["a", "b", "c"]) as net, AsyncExitStack() as stack:
        hosts: dict[str, Machine] = {}
        for host in net.hosts:
            root = stack.enter_context(root_over(base, directory / host.address))
            booting = machine(root, namespace=host.namespace, log=directory / f"{host.name}.log")
            hosts[host.address] = await stack.enter_async_context(booting)
        remote = directory / "remote"
        remote.write_text(_remote(hosts))
        remote.chmod(0o755)
        argv = ["env", f"REMOTE={remote}", f"DEB={dist.file('eagle-node_*.deb')}"]
        for _ in range(2):
            told = (await run([*argv, str(INSTALLER), *hosts], timeout=600)).stdout
            assert told.count("== ") == len(hosts) + 1, told

        async def are_one_cluster() -> bool:
            counts = [await _members(host) for host in hosts.values()]
            return counts == [len(hosts)] * len(hosts)

        await until(are_one_cluster, what="three members everywhere", timeout=90, interval=0.2)


async def _members(host: Machine) -> int:
    """How many live members the node of a host knows."""
    try:
        told = await host.run("eagle-node", "status", "--json")
    except CommandFailed:
        return 0
    members = json.loads(told)["cluster"]["members"]
    return sum(member["state"] == "alive" for member in members)


def _remote(hosts: Mapping[str, Machine]) -> str:
    """A script that runs its second argument on the host of the first."""
    cases = [
        f'{address}) exec {shlex.join(host.enter)} sh -c "$2" ;;' for address, host in hosts.items()
    ]
    return "\n".join(
        ["#!/bin/sh", "case $1 in", *cases, '*) echo "no host $1" >&2; exit 255 ;;', "esac", ""]
    )
