"""Nodes of the demo: real ``eagle-node run`` processes on loopback, each in its own directory."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eagle_node.api.client import ApiClient
from eagle_node.base.errors import StartError, Unavailable
from eagle_node.cli.own_command import own_command
from eagle_node.config.options import ENVIRONMENT_PREFIX

START_S = 30.0
"""Seconds that a node may take until it is ready."""
STOP_S = 10.0
"""Seconds that it may take to stop before it is killed."""
_POLL_S = 0.05

_LOOPBACK = (
    *("--advertise", "127.0.0.1", "--listen-host", "127.0.0.1"),
    *("--proxy-listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0"),
    *("--swarm-port", "0", "--swarm-ssl-port", "0", "--metainfo-port", "0", "--tracker-port", "0"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoNode:
    """A node that is ready."""

    name: str
    proxy_url: str
    api_url: str
    pins: tuple[str, ...]
    """Flags that make another node use this one's seeder and tracker."""


@asynccontextmanager
async def running_node(name: str, directory: Path, *flags: str) -> AsyncIterator[DemoNode]:
    """Run a node while the block lasts; `StartError` with the end of its log if it does not start.

    ``directory``, which exists, gets its data directory and its log.
    """
    data, log = directory / "data", directory / "node.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *own_command(),
            *("run", "--data-dir", str(data), *_LOOPBACK, *flags),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=_clean_environment(),
            start_new_session=True,
        )
    try:
        ports = await _ready(process, data / "ports.json", log)
        yield DemoNode(
            name=name,
            proxy_url=f"http://127.0.0.1:{ports['proxy']}",
            api_url=f"http://127.0.0.1:{ports['api']}",
            pins=(
                *("--role", "proxy,peer", "--seeder", f"127.0.0.1:{ports['metainfo']}"),
                *("--tracker", f"http://127.0.0.1:{ports['tracker']}"),
            ),
        )
    finally:
        await _stop(process)


def _clean_environment() -> dict[str, str]:
    """The environment without settings that are meant for another node."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)
    }


async def _ready(process: asyncio.subprocess.Process, ports: Path, log: Path) -> dict[str, int]:
    """Where the node listens, once it says that it is ready."""
    try:
        async with asyncio.timeout(START_S):
            while process.returncode is None:
                if (found := _read_ports(ports)) and await _says_ready(found["api"]):
                    return found
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        raise StartError(f"a node was not ready after {START_S:.0f} s{_tail(log)}") from None
    raise StartError(f"a node ended with status {process.returncode}{_tail(log)}")


def _read_ports(path: Path) -> dict[str, int]:
    try:
        ports: dict[str, Any] = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return ports


async def _says_ready(port: int) -> bool:
    async with ApiClient(f"http://127.0.0.1:{port}") as api:
        try:
            return (await api.ready()).ready
        except Unavailable:
            return False


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-10:]
    return "; the end of its log:\n  " + "\n  ".join(lines) if lines else ", without a word"


async def _stop(process: asyncio.subprocess.Process) -> None:
    """SIGTERM, then SIGKILL; the process is gone afterwards even when this is cancelled."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
