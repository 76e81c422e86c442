"""How long the dashboard takes for a frame, with 1,000 members and 200 transfers.

A real control API on loopback, the dashboard without a terminal. A frame is everything from changed
documents to cells: `show` and the compositor's update. The baseline is the same dashboard with 20
members and 5 transfers. Also measured: how long a page change takes, and the share of a processor
that the dashboard needs while it asks once a second and events pour in.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from eagle_tui.app import PAGES

from tests.bench import interrupts
from tests.bench.report import Limit, Report, emit, parser
from tests.tui.fleet import Fleet
from tests.tui.stage import Stage, stage

FRAME_LIMIT_MS = 100.0
"""What people take for at once (Card, Robertson and Mackinlay 1991)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Milliseconds for frames and for changes of the page; processor seconds per second."""

    frames_ms: list[float]
    pages_ms: list[float]
    cpu_share: float


def main() -> None:
    """Measure the small fleet and the large one."""
    made = parser(__doc__)
    made.add_argument("--members", type=int, default=1000)
    made.add_argument("--transfers", type=int, default=200)
    made.add_argument("--frames", type=int, default=15, help="of each page")
    made.add_argument("--watch", type=float, default=6.0, metavar="SECONDS")
    arguments = made.parse_args()
    interrupts.run(_measure_both(arguments))


async def _measure_both(arguments: argparse.Namespace) -> None:
    small = await _measure(20, 5, arguments)
    large = await _measure(arguments.members, arguments.transfers, arguments)
    report = _report(small, large, arguments)
    rows = [
        [name, *(f"{each[key]:.2f}" for each in (report.baseline, report.result))]
        for name, key in (
            ("frame, median (ms)", "frame_median_ms"),
            ("frame, worst (ms)", "frame_worst_ms"),
            ("from a key until the new page rests (ms)", "page_median_ms"),
            ("processors at 1 Hz", "cpu_share"),
        )
    ]
    columns = ["", "20 members", f"{arguments.members} members"]
    emit(report, columns, rows, only_json=arguments.json)


async def _measure(members: int, transfers: int, arguments: argparse.Namespace) -> Sample:
    fleet = Fleet(members=members, transfers=transfers, blobs=500)
    async with stage(fleet, size=(200, 50)) as ready:
        frames: list[float] = []
        pages: list[float] = []
        for number in range(1, len(PAGES) + 1):
            begun = time.perf_counter()
            await ready.pilot.press(str(number))
            await ready.pilot.pause()
            pages.append((time.perf_counter() - begun) * 1000)
            await ready.asked()
            frames += [await _frame(ready, n) for n in range(arguments.frames)]
        await ready.pilot.press("2")
        share = await _share(ready, arguments.watch)
    return Sample(frames_ms=frames, pages_ms=pages, cpu_share=share)


async def _frame(ready: Stage, n: int) -> float:
    """One with every member's load and every transfer's bytes changed."""
    _stir(ready, n)
    begun = time.perf_counter()
    ready.app.show()
    ready.app.screen._on_timer_update()  # noqa: SLF001 - what the library's frame timer calls
    return (time.perf_counter() - begun) * 1000


def _stir(ready: Stage, n: int) -> None:
    world = ready.app.world
    assert world.status is not None
    members = tuple(replace(member, changed_s=float(n)) for member in world.status.cluster.members)
    cluster = replace(world.status.cluster, members=members)
    world.status = replace(world.status, cluster=cluster)
    world.transfers = tuple(replace(row, rate=row.rate + n) for row in world.transfers)


async def _share(ready: Stage, seconds: float) -> float:
    """Processor time of the whole process, the made-up node in it included, per second."""
    before, begun = time.process_time(), time.perf_counter()
    await asyncio.sleep(seconds)
    return (time.process_time() - before) / (time.perf_counter() - begun)


def _told(sample: Sample) -> Mapping[str, float]:
    return {
        "frame_median_ms": statistics.median(sample.frames_ms),
        "frame_worst_ms": max(sample.frames_ms),
        "page_median_ms": statistics.median(sample.pages_ms),
        "cpu_share": sample.cpu_share,
    }


def _report(small: Sample, large: Sample, arguments: argparse.Namespace) -> Report:
    result = _told(large)
    return Report(
        bench="dashboard",
        parameters={"members": arguments.members, "transfers": arguments.transfers},
        limit=Limit(what="a frame that people take for at once", value=FRAME_LIMIT_MS, unit="ms"),
        baseline={"what": "20 members, 5 transfers", **_told(small)},
        result=result,
        ratio=result["frame_median_ms"] / FRAME_LIMIT_MS,
    )


if __name__ == "__main__":
    main()
