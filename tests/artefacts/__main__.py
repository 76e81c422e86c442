"""``python -m tests.artefacts [--dist DIR] [--work DIR] [--measure] [NAME …]``."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path

from eagle_node import __version__
from tests.artefacts import hosts, journey, measure, starts
from tests.support.process import CommandFailed
from tests.support.waiting import TimedOut

ROOT = Path(__file__).parents[2]
NAMES = ("wheel", "pex", "pyz", "executable", "deb", "image", "hosts")


async def main(argv: Sequence[str]) -> int:
    """Prove (or measure) each named artefact; 1 if one fails."""
    arguments = _parse(argv)
    if os.geteuid() != 0:
        print("error: mounts and roots of its own need root; run it as root", file=sys.stderr)
        return 1
    dist = starts.Dist(dist=arguments.dist, work=arguments.work, version=__version__)
    failed = False
    for name in arguments.names:
        if name == "hosts":
            failed |= await _hosts(dist)
            continue
        for label, start, user in _variants(name, dist)[: 1 if arguments.measure else None]:
            with _directory() as directory:
                try:
                    print(f"{label}: {await _one(start, user, directory, arguments)}", flush=True)
                except (AssertionError, CommandFailed, TimedOut) as error:
                    failed = True
                    print(f"{label}: FAILED: {error}", flush=True)
    return int(failed)


async def _hosts(dist: starts.Dist) -> bool:
    """Whether the installer over ssh fails."""
    with _directory() as directory:
        try:
            await hosts.install(dist, directory)
        except (AssertionError, CommandFailed, TimedOut) as error:
            print(f"hosts: FAILED: {error}", flush=True)
            return True
    print("hosts, three of them: installed twice, and one cluster", flush=True)
    return False


async def _one(
    start: _Start, user: int | None, directory: Path, arguments: argparse.Namespace
) -> str:
    async with start(directory) as program:
        number = _user_of(directory) if user is None else user
        if arguments.measure:
            return json.dumps(asdict(await measure.cost(program, directory, user=number)))
        await journey.travel(program, __version__, directory, user=number)
    return "a real image came through two nodes of it"


class _Start:
    """A way to start an artefact, waiting for its directory."""

    def __init__(self, factory: object, *arguments: object) -> None:
        self._factory, self._arguments = factory, arguments

    def __call__(self, directory: Path) -> AbstractAsyncContextManager[Sequence[str]]:
        factory = self._factory
        assert callable(factory)
        started: AbstractAsyncContextManager[Sequence[str]] = factory(*self._arguments, directory)
        return started


def _variants(name: str, dist: starts.Dist) -> list[tuple[str, _Start, int | None]]:
    """Label, start and user for each way that an artefact is run."""
    match name:
        case "wheel":
            return [
                (f"wheel, Python {version}", _Start(starts.installed_wheel, dist, version, path), 0)
                for version, path in starts.pythons()
            ]
        case "pex" | "pyz":
            file = dist.file(f"eagle-node.{name}")
            return [
                (f"{name}, Python {version}", _Start(starts.portable, file, path), 0)
                for version, path in starts.pythons()
            ]
        case "executable":
            return [("executable, no Python on the host", _Start(starts.alone, dist), 0)]
        case "deb":
            return [("deb, a minimal Debian", _Start(starts.package, dist), None)]
        case _:
            return [("image, its own file system", _Start(starts.image, dist), starts.IMAGE_USER)]


def _user_of(directory: Path) -> int:
    """The package's user, as its installation made it."""
    return (directory / "root" / "var/lib/eagle-node").stat().st_uid


@contextmanager
def _directory() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="eagle-artefact-"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        if not any(line.split()[4].startswith(str(directory)) for line in _mounts()):
            shutil.rmtree(directory)


def _mounts() -> list[str]:
    return Path("/proc/self/mountinfo").read_text().splitlines()


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.artefacts")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "packaging")
    parser.add_argument(
        "--measure", action="store_true", help="time and memory with the oldest Python, no journey"
    )
    parser.add_argument("names", nargs="*", choices=(*NAMES, []), default=list(NAMES))
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
