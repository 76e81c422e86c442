"""Hosts with IPv4 and IPv6 on one link, and holders of a virtual address on them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.netns import Host, Network, network
from tests.support.process import CommandFailed, Process, run, running
from tests.support.waiting import until

HOLDER = "tests.integration.vip.holder"
VIPS = ("10.77.0.100/16", "fd77::100/64")
"""One of each family, in the networks of the rig."""


@asynccontextmanager
async def lan(*names: str) -> AsyncIterator[Network]:
    """Hosts on one bridge; the n-th one has fd77::n beside its IPv4 address."""
    async with network(names) as net:
        await asyncio.gather(
            *(
                run(["ip", "-n", net[name].namespace, "addr", "add", v6(n), "dev", "eth0", "nodad"])
                for n, name in enumerate(names, 1)
            )
        )
        yield net


def v6(number: int) -> str:
    """IPv6 address of the ``number``-th host."""
    return f"fd77::{number}/64"


@asynccontextmanager
async def holder(
    host: Host,
    vip: str,
    directory: Path,
    *arguments: str,
    says: str = "held",
) -> AsyncIterator[Process]:
    """A holder process on ``host``, once it has said ``says``."""
    log = directory / f"{host.name}.log"
    before = log.read_text() if log.exists() else ""
    argv = [sys.executable, "-m", HOLDER, "--vip", vip, *arguments]

    async def has_said() -> bool:
        return says in log.read_text()[len(before) :]

    async with running(argv, log=log, namespace=host.namespace, ready=has_said) as process:
        yield process


async def refusal(host: Host, vip: str, *arguments: str, wrapper: Sequence[str] = ()) -> str:
    """What a holder process says that cannot start or cannot have the address."""
    argv = [*wrapper, sys.executable, "-m", HOLDER, "--vip", vip, *arguments]
    with pytest.raises(CommandFailed, match=": status 1\n") as caught:
        await run(argv, namespace=host.namespace)
    return str(caught.value)


async def addresses(host: Host) -> list[str]:
    """The addresses of a host's eth0, written ADDR/LEN."""
    shown = await run(["ip", "-n", host.namespace, "-j", "addr", "show", "dev", "eth0"])
    (link,) = json.loads(shown.stdout)
    return [f"{each['local']}/{each['prefixlen']}" for each in link["addr_info"]]


async def mac(host: Host) -> str:
    """The MAC of a host's eth0."""
    shown = await run(["ip", "-n", host.namespace, "-j", "link", "show", "dev", "eth0"])
    return str(json.loads(shown.stdout)[0]["address"])


async def cached_mac(host: Host, vip: str) -> str | None:
    """The MAC at which ``host`` believes the virtual address to be."""
    ip = vip.partition("/")[0]
    shown = await run(["ip", "-n", host.namespace, "-j", "neigh", "show", ip, "dev", "eth0"])
    entries = json.loads(shown.stdout or "[]")
    return entries[0].get("lladdr") if entries else None


async def until_addresses(
    host: Host, fits: Callable[[list[str]], bool], *, what: str, timeout: float = 30.0
) -> None:
    """Wait until the addresses of ``host`` fit."""

    async def fitting() -> bool:
        return fits(await addresses(host))

    await until(fitting, what=what, timeout=timeout)
