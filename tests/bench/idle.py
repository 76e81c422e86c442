"""Memory and CPU of a node that has nothing to do.

    python -m tests.bench.idle --seconds 20

The limit is an interpreter that has merely imported the libraries that a node cannot do without.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.bench import interrupts
from tests.bench.report import Limit, Report, cpu_seconds, emit, parser, resident_mib, thread_count
from tests.support.node import eagle_node
from tests.support.process import Process, running
from tests.support.waiting import until

BARE = "import aiohttp.web, libtorrent, signal, grpc.aio; print('up', flush=True); signal.pause()"


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--seconds", type=float, default=20.0, help="how long to watch")
    arguments.add_argument("--settle", type=float, default=5.0, help="seconds to wait before")
    options = arguments.parse_args()
    report = interrupts.run(_measure(options.settle, options.seconds))
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


async def _measure(settle: float, seconds: float) -> Report:
    with tempfile.TemporaryDirectory(prefix="eagle-idle-") as name:
        directory = Path(name)
        bare_mib = await _bare_mib(directory)
        async with eagle_node(directory / "node") as node:
            pid = node.process.pid
            await asyncio.sleep(settle)
            started, before = time.monotonic(), cpu_seconds(pid)
            await asyncio.sleep(seconds)
            share = (cpu_seconds(pid) - before) / (time.monotonic() - started)
            rss_mib = resident_mib(pid)
            threads = thread_count(pid)
    return Report(
        bench="idle",
        parameters={"seconds": seconds, "settle_s": settle},
        limit=Limit(
            what="resident memory of aiohttp, libtorrent and grpc.aio imported and idle",
            value=bare_mib,
            unit="MiB",
        ),
        baseline={"rss_mib": bare_mib},
        result={"rss_mib": rss_mib, "cpu_percent": share * 100, "threads": threads},
        ratio=rss_mib / bare_mib,
    )


async def _bare_mib(directory: Path) -> float:
    """Resident memory of an interpreter with nothing but the libraries."""
    async with running([sys.executable, "-c", BARE], log=directory / "bare.log") as bare:
        await until(lambda: _is_up(bare), what="the imports")
        return resident_mib(bare.pid)


async def _is_up(process: Process) -> bool:
    return "up" in process.log()


if __name__ == "__main__":
    main()
