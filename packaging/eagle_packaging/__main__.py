"""``python -m eagle_packaging [--root DIR] [--work DIR] [--dist DIR] [--arch ARCH] ARTEFACT …``."""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from eagle_packaging.deb import build_deb
from eagle_packaging.executable import build_executable
from eagle_packaging.image import build_image
from eagle_packaging.pex import build_pex
from eagle_packaging.place import DEBIAN_ARCHITECTURES, BuildError, Place, epoch_of
from eagle_packaging.sbom import build_sbom
from eagle_packaging.wheels import build_project
from eagle_packaging.zipapp import build_zipapp

ARTEFACTS = ("wheel", "pex", "pyz", "executable", "deb", "image", "sbom")


class Build:
    """One run: what several artefacts are made of is made once."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def make(self, artefact: str) -> list[Path]:
        """Build one; the files that it consists of."""
        match artefact:
            case "wheel":
                return list(self.project)
            case "pex":
                return [build_pex(self.place, self.wheel)]
            case "pyz":
                return [build_zipapp(self.place, self.wheel)]
            case "executable":
                return [self.executable[0]]
            case "deb":
                return [build_deb(self.place, self.executable[1])]
            case "image":
                return [build_image(self.place, self.executable[1])]
            case "sbom":
                return [build_sbom(self.place, self.wheel)]
            case _:
                raise BuildError(f"no artefact {artefact!r}; known: {', '.join(ARTEFACTS)}")

    @cached_property
    def project(self) -> tuple[Path, Path]:
        """Wheel and sdist."""
        return build_project(self.place)

    @property
    def wheel(self) -> Path:
        """The wheel."""
        return self.project[0]

    @cached_property
    def executable(self) -> tuple[Path, Path]:
        """The single executable and the directory."""
        return build_executable(self.place, self.wheel)


def main(argv: Sequence[str] | None = None) -> int:
    """Build what is named, and tell sizes and hashes."""
    arguments = _parse(argv)
    place = Place(
        root=arguments.root,
        work=arguments.work,
        dist=arguments.dist,
        epoch=epoch_of(arguments.root, os.environ),
        arch=arguments.arch,
    )
    place.dist.mkdir(parents=True, exist_ok=True)
    build = Build(place)
    try:
        for artefact in arguments.artefacts:
            for path in build.make(artefact):
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                print(f"{digest}  {path.stat().st_size:>11,}  {path}", flush=True)
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    root = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(prog="python -m eagle_packaging")
    parser.add_argument("--root", type=Path, default=root, help="the project")
    parser.add_argument("--work", type=Path, default=root / "build" / "packaging")
    parser.add_argument("--dist", type=Path, default=root / "dist")
    parser.add_argument("--arch", choices=DEBIAN_ARCHITECTURES, default=platform.machine())
    parser.add_argument("artefacts", nargs="+", choices=ARTEFACTS)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
