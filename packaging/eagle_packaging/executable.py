"""The program with its Python inside, by PyInstaller: one file, and a directory for packages."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

from eagle_packaging.place import NAME, PYTHONS, BuildError, Place, run
from eagle_packaging.wheels import fetch_wheels, unpack

HERE = Path(__file__).parent


def build_executable(place: Place, wheel: Path) -> tuple[Path, Path]:
    """``dist/eagle-node``, and the directory that the .deb and the image are made of."""
    place.make_native("the single executable")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    if python not in PYTHONS:
        raise BuildError(f"this is Python {python}; build with one of {', '.join(PYTHONS)}")
    site = _site(place, [*fetch_wheels(place, python), wheel])
    out, work = place.work / "pyinstaller", place.work / "pyinstaller-work"
    for directory in (out, work):
        shutil.rmtree(directory, ignore_errors=True)
    os.environ["EAGLE_PACKAGING_SITE"] = str(site)
    shim = (
        "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
        "runpy.run_module('PyInstaller', run_name='__main__', alter_sys=True)"
    )
    argv: list[str | Path] = [sys.executable, "-c", shim, site, "--noconfirm"]
    argv += ["--log-level", "WARN", "--distpath", out, "--workpath", work, HERE / "eagle-node.spec"]
    run(argv, epoch=place.epoch)
    warnings = (work / NAME / f"warn-{NAME}.txt").read_text()
    if missing := excluded_but_needed(warnings):
        raise BuildError(f"eagle-node.spec excludes what is imported: {'; '.join(missing)}")
    target = place.dist / NAME
    shutil.copy2(out / NAME, target)
    return target, out / "tree"


def excluded_but_needed(warnings: str) -> list[str]:
    """Modules that the specification excludes and others cannot be imported without, with those.

    ``warnings`` is PyInstaller's list of missing modules.
    """
    lines = re.findall(r"^excluded module named (\S+) - imported by (.+)$", warnings, re.MULTILINE)
    return [
        f"{name} by {importer}"
        for name, importers in lines
        for importer in re.findall(r"(\S+) \(top-level\)", importers)
        if not name.startswith("_")  # the interpreter's own, always there
    ]


def _site(place: Place, wheels: list[Path]) -> Path:
    """A directory as pip would install the wheels into."""
    site = place.work / "site"
    shutil.rmtree(site, ignore_errors=True)
    for wheel in wheels:
        for name, content in unpack(wheel).items():
            target = site / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    return site
