"""``python -m tests.artefacts [--dist DIR] [--work DIR] [--arch ARCH] [NAME …]``."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from eagle_node import __version__
from tests.artefacts import engines, hosts, journey, service, starts, systemd
from tests.artefacts.emulated import ARCHITECTURES
from tests.artefacts.ways import ARTEFACTS, Way, foreign_ways, scratch, ways
from tests.support.process import CommandFailed
from tests.support.waiting import TimedOut

ROOT = Path(__file__).parents[2]

Proof = Callable[[Path], Awaitable[None]]
NAMES = (*ARTEFACTS, "engines", "systemd", "hosts")


async def main(argv: Sequence[str]) -> int:
    """Prove each named artefact; 1 if one fails."""
    arguments = _parse(argv)
    if os.geteuid() != 0:
        print("error: mounts and roots of its own need root; run it as root", file=sys.stderr)
        return 1
    dist = starts.Dist(dist=arguments.dist, work=arguments.work, version=__version__)
    passed = True
    for label, proof, told in _proofs(arguments.names, arguments.arch, dist):
        with scratch() as directory:
            passed &= await _told(label, proof(directory), told)
    return int(not passed)


def _proofs(names: Sequence[str], arch: str, dist: starts.Dist) -> Iterator[tuple[str, Proof, str]]:
    """Label, what to do in an empty directory, and what has been shown when it does not fail."""
    for name in names:
        if name == "hosts":
            yield (
                "hosts, three of them",
                partial(hosts.install, dist),
                "installed twice, one cluster",
            )
        elif name == "systemd":
            told = "installed by apt, started, killed, shut in, upgraded, booted, purged"
            yield "systemd, a booted Debian", partial(systemd.live, dist), told
        elif name == "engines":
            told = "the image is ready, shut in, and stops"
            yield "engines, docker-compose and podman", partial(engines.start, dist), told
        else:
            native = arch == platform.machine()
            for way in ways(name, dist) if native else foreign_ways(name, arch, dist):
                told = "a real image came through two nodes of it"
                yield way.label, partial(_travel, way), told


async def _travel(way: Way, directory: Path) -> None:
    async with way.start(directory) as program:
        await journey.travel(program, __version__, directory, user=way.user_in(directory))
        if way.has_unit:
            await service.serve(directory / "root", directory)


async def _told(label: str, proof: Awaitable[None], success: str) -> bool:
    """Whether ``proof`` succeeds; says so."""
    try:
        await proof
    except (AssertionError, CommandFailed, TimedOut) as error:
        print(f"{label}: FAILED: {error}", flush=True)
        return False
    print(f"{label}: {success}", flush=True)
    return True


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.artefacts")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "packaging")
    parser.add_argument("--arch", choices=ARCHITECTURES, default=platform.machine())
    parser.add_argument("names", nargs="*", choices=(*NAMES, []), default=list(NAMES))
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
