"""Where a build reads and writes, and the date that it stamps."""

from __future__ import annotations

import ast
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

NAME = "eagle-node"

OLDEST = 315532800
"""1980-01-01, the first date of zip files (APPNOTE 4.4.6), for trees without history."""

PYTHONS = ("3.11", "3.12", "3.13")
"""Versions that eagle-node.pex and eagle-node.pyz run on: those that libtorrent has wheels for."""

DEBIAN_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""Debian's names, which are Go's and so OCI's too, for the kernel's."""


class BuildError(Exception):
    """An artefact cannot be built; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One build's directories and constants."""

    root: Path
    """The project."""
    work: Path
    """For what may be thrown away."""
    dist: Path
    """For artefacts."""
    epoch: int
    """Seconds since 1970 (``SOURCE_DATE_EPOCH``)."""
    arch: str = field(default_factory=platform.machine)
    """The kernel's name of the architecture that artefacts are for."""

    @property
    def version(self) -> str:
        """The program's version, read from its source."""
        source = (self.root / "eagle_node" / "__init__.py").read_text()
        for node in ast.parse(source).body:
            match node:
                case ast.Assign(
                    targets=[ast.Name(id="__version__")], value=ast.Constant(value=str(version))
                ):
                    return version
        raise BuildError("eagle_node/__init__.py assigns no __version__")

    @property
    def debian_arch(self) -> str:
        """Debian's and OCI's name of `arch`."""
        return DEBIAN_ARCHITECTURES[self.arch]

    def make_native(self, artefact: str) -> None:
        """Refuse to build for another machine what only a machine of its own kind can build."""
        if self.arch != platform.machine():
            raise BuildError(
                f"{artefact} for {self.arch} is built on {self.arch}: PyInstaller packs the Python "
                f"that it runs on; the wheel, eagle-node.pex and eagle-node.pyz can be built here"
            )


def epoch_of(root: Path, environment: Mapping[str, str]) -> int:
    """``SOURCE_DATE_EPOCH``, or the date of the last commit, or `OLDEST`."""
    if given := environment.get("SOURCE_DATE_EPOCH", ""):
        return int(given)
    asked = subprocess.run(
        ["git", "-C", str(root), "log", "-1", "--format=%ct"], capture_output=True, text=True
    )
    return int(asked.stdout) if asked.returncode == 0 and asked.stdout.strip() else OLDEST


def run(argv: Sequence[str | Path], *, epoch: int, cwd: Path | None = None) -> str:
    """Run a tool with the build's date and seeded hashes; its output, or `BuildError`."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        "SOURCE_DATE_EPOCH": str(epoch),
        "PYTHONHASHSEED": "0",
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        [str(word) for word in argv],
        cwd=cwd,
        env=environment,
        umask=0o022,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-30:])
        raise BuildError(f"{' '.join(map(str, argv))}: status {done.returncode}\n{tail}")
    return done.stdout
