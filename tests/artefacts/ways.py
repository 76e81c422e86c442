"""Every way that an artefact is run: a name, how it starts, and as whom."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.artefacts import emulated, starts

ARTEFACTS = ("wheel", "pex", "pyz", "executable", "deb", "image")

PORTABLE = ("pex", "pyz")
"""Those that are built on any machine for any architecture."""

Start = Callable[[Path], AbstractAsyncContextManager[Sequence[str]]]
"""Takes a directory for its files; gives the words that start the program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One artefact in one bare environment."""

    label: str
    start: Start
    user: int | None = 0
    """Who runs it; None: whom its installation made."""
    has_unit: bool = False
    """Whether it is also started as a service."""

    def user_in(self, directory: Path) -> int:
        """The user's number, once it has been started there."""
        if self.user is not None:
            return self.user
        return (directory / "root" / "var/lib/eagle-node").stat().st_uid


def ways(name: str, dist: starts.Dist) -> list[Way]:
    """All ways of one of `ARTEFACTS`, the oldest Python's first."""
    match name:
        case "wheel":
            return [
                Way(
                    label=f"wheel, Python {version}",
                    start=partial(starts.installed_wheel, dist, version, path),
                )
                for version, path in starts.pythons()
            ]
        case "pex" | "pyz":
            file = dist.file(f"eagle-node.{name}")
            return [
                Way(label=f"{name}, Python {version}", start=partial(starts.portable, file, path))
                for version, path in starts.pythons()
            ]
        case "executable":
            label = "executable, no Python on the host"
            return [Way(label=label, start=partial(starts.alone, dist))]
        case "deb":
            start = partial(starts.package, dist)
            return [Way(label="deb, a minimal Debian", start=start, user=None, has_unit=True)]
        case _:
            label = "image, its own file system"
            return [Way(label=label, start=partial(starts.image, dist), user=starts.IMAGE_USER)]


def foreign_ways(name: str, arch: str, dist: starts.Dist) -> list[Way]:
    """Ways of an artefact that was built for another architecture."""
    assert name in PORTABLE, f"{name} for {arch} is proven on {arch}"
    start = partial(emulated.portable, dist.file(f"eagle-node.{name}"), arch, dist.work)
    return [Way(label=f"{name}, {arch} under qemu", start=start)]


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory that every user can enter; kept if something is still mounted in it."""
    directory = Path(tempfile.mkdtemp(prefix="eagle-artefact-"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        if not any(line.split()[4].startswith(str(directory)) for line in mounts):
            shutil.rmtree(directory)
