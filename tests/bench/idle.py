"""Memory and CPU of a node that has nothing to do.

    python -m tests.bench.idle --seconds 20
    python -m tests.bench.idle --everything

With ``--everything`` it is the busiest of three nodes that have elected their roles: with a cluster
key, a virtual address, a blob store and webhooks.
The limit is an interpreter that has merely imported the libraries that a node cannot do without.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from eagle_node.trust.key import create_key_file
from tests.bench import interrupts
from tests.bench.report import Limit, Report, cpu_seconds, emit, parser, resident_mib, thread_count
from tests.support.fleet import fleet
from tests.support.node import Node, eagle_node
from tests.support.process import Process, running
from tests.support.waiting import until

BARE = "import aiohttp.web, libtorrent, signal, grpc.aio; print('up', flush=True); signal.pause()"
VIRTUAL = "10.77.1.200/24"
"""In the network that namespaces get (`tests.support.netns`)."""


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--seconds", type=float, default=20.0, help="how long to watch")
    arguments.add_argument("--settle", type=float, default=5.0, help="seconds to wait before")
    arguments.add_argument(
        "--everything", action="store_true", help="three nodes with elected roles and all options"
    )
    options = arguments.parse_args()
    report = interrupts.run(_measure(options.settle, options.seconds, all_of_it=options.everything))
    result = report.result
    rows = [
        ["libraries alone", f"{report.limit.value:.1f}", "", ""],
        [
            "node",
            f"{result['rss_mib']:.1f}",
            f"{result['cpu_percent']:.2f}",
            str(result["threads"]),
        ],
    ]
    emit(report, ["", "RSS MiB", "CPU %", "threads"], rows, only_json=options.json)


async def _measure(settle: float, seconds: float, *, all_of_it: bool) -> Report:
    with tempfile.TemporaryDirectory(prefix="eagle-idle-") as name:
        directory = Path(name)
        bare_mib = await _bare_mib(directory)
        nodes = _everything(directory) if all_of_it else _alone(directory)
        async with nodes as running_nodes:
            pids = [node.process.pid for node in running_nodes]
            await asyncio.sleep(settle)
            started, before = time.monotonic(), [cpu_seconds(pid) for pid in pids]
            await asyncio.sleep(seconds)
            passed = time.monotonic() - started
            shares = [
                (cpu_seconds(pid) - then) / passed for pid, then in zip(pids, before, strict=True)
            ]
            rss_mib = max(resident_mib(pid) for pid in pids)
            threads = max(thread_count(pid) for pid in pids)
    return Report(
        bench="idle",
        parameters={"seconds": seconds, "settle_s": settle, "everything": all_of_it},
        limit=Limit(
            what="resident memory of aiohttp, libtorrent and grpc.aio imported and idle",
            value=bare_mib,
            unit="MiB",
        ),
        baseline={"rss_mib": bare_mib},
        result={"rss_mib": rss_mib, "cpu_percent": max(shares) * 100, "threads": threads},
        ratio=rss_mib / bare_mib,
    )


@asynccontextmanager
async def _alone(directory: Path) -> AsyncIterator[Sequence[Node]]:
    async with eagle_node(directory / "node") as node:
        yield [node]


@asynccontextmanager
async def _everything(directory: Path) -> AsyncIterator[Sequence[Node]]:
    key = directory / "cluster.key"
    create_key_file(key)
    storage = directory / "storage"
    storage.mkdir()
    flags = (
        *("--cluster-key-file", str(key), "--vip", VIRTUAL, "--storage", f"file://{storage}"),
        *("--webhook-listen", "127.0.0.1:43004"),
    )
    async with fleet(directory / "fleet", 3, *flags, blobs=1) as made:
        await made.agreed()
        yield list(made.nodes.values())


async def _bare_mib(directory: Path) -> float:
    """Resident memory of an interpreter with nothing but the libraries."""
    async with running([sys.executable, "-c", BARE], log=directory / "bare.log") as bare:
        await until(lambda: _is_up(bare), what="the imports")
        return resident_mib(bare.pid)


async def _is_up(process: Process) -> bool:
    return "up" in process.log()


if __name__ == "__main__":
    main()
