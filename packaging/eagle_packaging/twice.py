"""``python -m eagle_packaging.twice ARTEFACT …``: two builds that have little in common, compared.

One is made here, as ``make package`` does. The other is made from a copy of the project, in a
directory of another name and depth, with another umask, time zone, language, hash seed and home,
and nothing fetched before; the date is the same, as it is for all who build that commit. A table
says which artefacts are the same bytes, and of the others where they differ.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from eagle_packaging.__main__ import ARTEFACTS
from eagle_packaging.difference import difference
from eagle_packaging.place import DEBIAN_ARCHITECTURES, epoch_of

ROOT = Path(__file__).resolve().parents[2]

NOT_SOURCE = shutil.ignore_patterns(
    *(".git", ".venv", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis")
)

ELSEWHERE = Path("another of", "some", "depth")
"""With a space, which every shell line of a build has to stand."""

UMASK = 0o077

VARIABLES = {"TZ": "Pacific/Chatham", "LC_ALL": "C", "PYTHONHASHSEED": "2"}


def main(argv: Sequence[str]) -> int:
    """Build twice, compare, tell; 1 if anything differs, or what a build ends with if it fails."""
    parser = argparse.ArgumentParser(prog="python -m eagle_packaging.twice")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="of the build made here")
    parser.add_argument("--arch", choices=DEBIAN_ARCHITECTURES, default=platform.machine())
    parser.add_argument("artefacts", nargs="+", choices=ARTEFACTS)
    arguments = parser.parse_args(argv)
    wanted = ["--arch", arguments.arch, *arguments.artefacts]
    here = arguments.dist.resolve()
    for path in here.glob("eagle*"):
        path.unlink()
    if status := _build(ROOT, here, wanted, os.environ):
        return status
    with tempfile.TemporaryDirectory(prefix="eagle-twice-") as name:
        root = Path(name) / ELSEWHERE
        shutil.copytree(ROOT, root, ignore=NOT_SOURCE, symlinks=True)
        there = root / "dist"
        if status := _build(root, there, wanted, _other_environment(root)):
            return status
        files = sorted(here.glob("eagle*"))
        differences = {path: difference(path, there / path.name) for path in files}
    print(table(differences))
    return int(any(differences.values()))


def table(differences: Mapping[Path, str]) -> str:
    """One line for each file: same or not, size, hash, name; below it what differs."""
    lines = []
    for path, told in differences.items():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        word = "different" if told else "identical"
        lines.append(f"{word}  {path.stat().st_size:>11,}  {digest[:16]}  {path.name}")
        lines += [f"           {line}" for line in told.splitlines()]
    return "\n".join(lines)


def _build(root: Path, dist: Path, wanted: Sequence[str], environment: Mapping[str, str]) -> int:
    """Build what is ``wanted`` of ``root`` by a process of its own; the exit status."""
    around = {
        **environment,
        "PYTHONPATH": str(root / "packaging"),
        "SOURCE_DATE_EPOCH": str(epoch_of(ROOT, os.environ)),
    }
    options = ["--root", str(root), "--work", str(root / "build/packaging"), "--dist", str(dist)]
    argv = [sys.executable, "-m", "eagle_packaging", *options, *wanted]
    umask = 0o022 if root == ROOT else UMASK
    return subprocess.run(argv, env=around, cwd=root, umask=umask).returncode


def _other_environment(root: Path) -> dict[str, str]:
    """The path and pip's settings are this environment's, the rest is not."""
    home = root.parent / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    return {**kept, **VARIABLES, "PATH": os.environ["PATH"], "HOME": str(home)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
