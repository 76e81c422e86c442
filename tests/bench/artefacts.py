"""What each artefact in dist/ costs: its size, its way to readiness, its memory at rest.

    python -m tests.bench.artefacts --rounds 5
    python -m tests.bench.artefacts pex pyz

Each runs in the bare environment of ``tests.artefacts``, all files in the page cache, one node with
every role and no traffic. A first start has nothing unpacked yet; a second finds what the first has
left. The baseline is the same program in the project's virtual environment, not packed at all.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from eagle_node import __version__
from tests.artefacts.starts import Dist, bare
from tests.artefacts.ways import ARTEFACTS, Way, scratch, ways
from tests.bench import interrupts
from tests.bench.report import Limit, Report, emit, parser, resident_mib
from tests.support.node import eagle_node

ROOT = Path(__file__).parents[2]

FILES = {
    "wheel": "eagle_node-*.whl",
    "pex": "eagle-node.pex",
    "pyz": "eagle-node.pyz",
    "executable": "eagle-node",
    "deb": "eagle-node_*.deb",
    "image": "eagle-node.oci.tar",
}
REST_S = 2.0
"""Time that a node is left alone before its memory is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one artefact; seconds are medians, from the start of the process to ``/readyz``."""

    size_mb: float
    """10**6 bytes of the file."""
    first_ready_s: float
    second_ready_s: float
    worst_ready_s: float
    """The longest of all starts, first or second."""
    rss_mib: float
    """Resident memory of the process and its children, at rest; median."""


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--dist", type=Path, default=ROOT / "dist")
    arguments.add_argument("--work", type=Path, default=ROOT / "build" / "packaging")
    arguments.add_argument("--rounds", type=int, default=5, help="of two starts each")
    arguments.add_argument("names", nargs="*", choices=(*ARTEFACTS, []), default=list(ARTEFACTS))
    options = arguments.parse_args()
    if os.geteuid() != 0:
        sys.exit("error: mounts and roots of its own need root; run it as root")
    dist = Dist(dist=options.dist, work=options.work, version=__version__)
    report = interrupts.run(_measure(dist, options.names, options.rounds))
    costs = {"not packed": report.baseline, **report.result}
    rows = [
        [name, *(f"{value:.{0 if column == 'rss_mib' else 2}f}" for column, value in cost.items())]
        for name, cost in costs.items()
    ]
    columns = ["", "MB", "first start s", "second s", "worst s", "RSS MiB"]
    emit(report, columns, rows, only_json=options.json)


async def _measure(dist: Dist, names: Sequence[str], rounds: int) -> Report:
    kept = [f"PYTHONPATH={path}" for path in [os.environ.get("PYTHONPATH", "")] if path]
    with scratch() as directory:
        program = [*bare(directory / "home", *kept), sys.executable, "-m", "eagle_node"]
        plain = [await _round(program, directory / str(number), 0) for number in range(rounds)]
    baseline = _cost(0, plain)
    result = {name: asdict(await _artefact(name, dist, rounds)) for name in names}
    return Report(
        bench="artefacts",
        parameters={"rounds": rounds, "rest_s": REST_S, "python": sys.version.split()[0]},
        limit=Limit(
            what="start to readiness from the project's virtual environment",
            value=baseline.second_ready_s,
            unit="s",
        ),
        baseline=asdict(baseline),
        result=result,
        ratio=max(_seconds(cost) for cost in result.values()) / baseline.second_ready_s,
    )


def _seconds(cost: Mapping[str, float]) -> float:
    return cost["second_ready_s"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    first_s: float
    second_s: float
    rss_mib: float


async def _artefact(name: str, dist: Dist, rounds: int) -> Cost:
    """With the oldest Python, where there are several ways."""
    way = ways(name, dist)[0]
    size = dist.file(FILES[name]).stat().st_size
    done: list[_Round] = []
    if name in ("pex", "pyz"):
        for _ in range(rounds):  # each unpacks anew
            done += await _rounds(way, 1)
    else:
        done = await _rounds(way, rounds)
    return _cost(size, done)


async def _rounds(way: Way, count: int) -> list[_Round]:
    """Install once, start twice ``count`` times."""
    with scratch() as directory:
        async with AsyncExitStack() as stack:
            program = await stack.enter_async_context(way.start(directory))
            user = way.user_in(directory)
            return [
                await _round(program, directory / f"round-{number}", user)
                for number in range(count)
            ]


async def _round(program: Sequence[str], directory: Path, user: int) -> _Round:
    os.mkdir(directory)
    first, _ = await _start(program, directory / "first", user)
    second, rss = await _start(program, directory / "second", user, rest=REST_S)
    return _Round(first_s=first, second_s=second, rss_mib=rss)


async def _start(
    program: Sequence[str], directory: Path, user: int, *, rest: float = 0.0
) -> tuple[float, float]:
    """Seconds to readiness, and after ``rest`` seconds more the memory, MiB."""
    os.mkdir(directory)
    os.chown(directory, user, user)
    roles = ("--role", "proxy,peer,seeder,tracker")
    started = time.monotonic()
    async with eagle_node(directory, *roles, program=program) as node:
        seconds = time.monotonic() - started
        await asyncio.sleep(rest)
        return seconds, sum(map(resident_mib, _with_children(node.process.pid)))


def _cost(size: int, rounds: Sequence[_Round]) -> Cost:
    return Cost(
        size_mb=size / 1e6,
        first_ready_s=statistics.median(each.first_s for each in rounds),
        second_ready_s=statistics.median(each.second_s for each in rounds),
        worst_ready_s=max(max(each.first_s, each.second_s) for each in rounds),
        rss_mib=statistics.median(each.rss_mib for each in rounds),
    )


def _with_children(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _with_children(int(child))


if __name__ == "__main__":
    main()
