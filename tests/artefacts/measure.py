"""How long an artefact takes to its readiness, and what it holds in memory at rest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.node import eagle_node

REST_S = 3.0
"""Time that a node is left alone before its memory is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one node of an artefact, every role, no traffic."""

    first_ready_s: float
    """From the start of the process to ``/readyz``, when nothing has been unpacked yet."""
    ready_s: float
    """The same for the second start."""
    rss_mib: float
    """Resident memory of the process and its children, at rest."""


async def cost(program: Sequence[str], directory: Path, *, user: int = 0) -> Cost:
    """Start ``program`` twice and measure."""
    import os

    seconds, rss = [], 0.0
    for name in ("first", "second"):
        (directory / name).mkdir()
        os.chown(directory / name, user, user)
        started = time.monotonic()
        roles = ("--role", "proxy,peer,seeder,tracker")
        async with eagle_node(directory / name, *roles, program=program) as node:
            seconds.append(time.monotonic() - started)
            await asyncio.sleep(REST_S)
            rss = sum(map(_resident, _with_children(node.process.pid))) / (1 << 20)
    return Cost(first_ready_s=seconds[0], ready_s=seconds[1], rss_mib=rss)


def _with_children(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _with_children(int(child))


def _resident(pid: int) -> int:
    """Bytes (``VmRSS`` of proc_pid_status(5) is in KiB)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) << 10
