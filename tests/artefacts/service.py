"""The Debian package's service as its unit starts it, with the file that the package brings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tests.artefacts.starts import UNIT, bare, confined
from tests.support import http
from tests.support.netns import network
from tests.support.process import run, running
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
DROP_IN = ROOT / "examples" / "systemd" / "vip.conf"
ADDRESS = "10.77.200.1"
READY = "http://127.0.0.1:43003/readyz"


async def serve(root: Path, directory: Path) -> None:
    """It gets ready on its own ports, shut in; with the drop-in it carries the address too."""
    async with network(["host"]) as net:
        namespace = net["host"].namespace
        await _started(root, namespace, directory / "service.log")
        flags = ("--vip", f"{ADDRESS}/16@eth0")
        await _started(root, namespace, directory / "address.log", DROP_IN, flags=flags)


async def _started(
    root: Path, namespace: str, log: Path, *drop_ins: Path, flags: Sequence[str] = ()
) -> None:
    """Start what the unit says, look at it, stop it."""
    data = root / "var/lib/eagle-node"
    argv = [*bare(data), *confined(root, data, *drop_ins), *_exec_start(root), *flags]

    async def is_ready() -> bool:
        return await http.answers(READY, namespace=namespace)

    async def has_address() -> bool:
        return ADDRESS in await _addresses(namespace)

    async with running(argv, log=log, namespace=namespace, ready=is_ready, timeout=90) as node:
        if flags:
            await until(has_address, what=f"{ADDRESS} on eth0\n{node.log_tail()}", timeout=60)
        capable = "0000000000003000" if drop_ins else "0000000000000000"
        _is_shut_in(node.pid, capable)
        assert await node.terminate(grace=30.0) == 0, node.log_tail()
        assert "Traceback" not in node.log(), node.log_tail()
    assert not await has_address(), f"{ADDRESS} outlives its node"


def _is_shut_in(pid: int, capable: str) -> None:
    """It has those capabilities, can get no more, and a filter of system calls."""
    state = Path(f"/proc/{pid}/status").read_text()
    for line in (f"CapEff:\t{capable}", f"CapBnd:\t{capable}", "NoNewPrivs:\t1", "Seccomp:\t2"):
        assert f"\n{line}\n" in state, state


async def _addresses(namespace: str) -> list[str]:
    told = (await run(["ip", "-n", namespace, "-j", "address", "show", "eth0"])).stdout
    return [each["local"] for link in json.loads(told) for each in link["addr_info"]]


def _exec_start(root: Path) -> list[str]:
    unit = (root / UNIT).read_text()
    (line,) = (line for line in unit.splitlines() if line.startswith("ExecStart="))
    return line.partition("=")[2].split()
