"""The project's own wheel and sdist, and the wheels that it needs, checked against the lock."""

from __future__ import annotations

import gzip
import io
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

from eagle_packaging.lock import runtime_pins
from eagle_packaging.place import PYTHONS, BuildError, Place, run

SOURCES = ("pyproject.toml", "README.md", "LICENSE", "eagle_node", "tui")
"""What the project's wheel is made of."""

OLDEST_GLIBC, NEWEST_GLIBC = 17, 28
"""Wheels are taken that run with glibc 2.28 (Debian 10, RHEL 8) or older (PEP 600)."""


def build_project(place: Place) -> tuple[Path, Path]:
    """Wheel and sdist, in ``dist``; built from a clean copy, so that nothing stale gets in."""
    source = place.work / "source"
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    for name in SOURCES:
        if (place.root / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.pyc")
            shutil.copytree(place.root / name, source / name, ignore=ignored)
        elif (place.root / name).exists():
            shutil.copy(place.root / name, source)
    out = place.work / "project"
    shutil.rmtree(out, ignore_errors=True)
    argv = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    run(argv, epoch=place.epoch)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    _settle_sdist(sdist, place.epoch)
    place.dist.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(wheel, place.dist)), Path(shutil.copy(sdist, place.dist))


def fetch_wheels(place: Place, python: str) -> list[Path]:
    """The wheels that a node needs on ``python`` and the build's architecture, sorted by name.

    pip checks each against the lock's hashes, and takes no source.
    """
    target = place.work / "wheels" / f"{python}-{place.arch}"
    requirements = place.work / "requirements-runtime.txt"
    text = "".join(pin.requirement() for pin in runtime_pins(place.root))
    stamp = target / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != text:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        requirements.write_text(text)
        platforms = [
            word
            for minor in range(NEWEST_GLIBC, OLDEST_GLIBC - 1, -1)
            for word in ("--platform", f"manylinux_2_{minor}_{place.arch}")
        ]
        run(
            [
                *[sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"],
                *["--disable-pip-version-check", "--require-hashes", "--only-binary", ":all:"],
                *["--python-version", python, "--implementation", "cp", *platforms],
                *["--platform", f"manylinux2014_{place.arch}"],
                *["--dest", str(target), "--requirement", str(requirements)],
            ],
            epoch=place.epoch,
        )
        stamp.write_text(text)
    return sorted(target.glob("*.whl"))


def fetch_all(place: Place) -> dict[str, list[Path]]:
    """`fetch_wheels` for each version that the portable artefacts run on."""
    return {python: fetch_wheels(place, python) for python in PYTHONS}


def unpack(wheel: Path) -> dict[str, bytes]:
    """The files that installing a wheel puts into ``site-packages``, by name.

    Headers, scripts and data for other places are left out: nothing of ours uses them.
    """
    files: dict[str, bytes] = {}
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            name = info.filename
            top, _, rest = name.partition("/")
            if top.endswith(".data"):
                kind, _, name = rest.partition("/")
                if kind not in ("purelib", "platlib"):
                    continue
            if name and not name.endswith("/"):
                files[name] = archive.read(info)
    if not files:
        raise BuildError(f"{wheel.name} is empty")
    return files


def _settle_sdist(path: Path, epoch: int) -> None:
    """setuptools leaves the files' own dates and owners in an sdist; set them."""
    out = io.BytesIO()
    with (
        tarfile.open(path) as old,
        tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda each: each.name):
            member.mtime, member.uid, member.gid, member.uname, member.gname = epoch, 0, 0, "", ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.pax_headers = {}
            new.addfile(member, old.extractfile(member) if member.isreg() else None)
    path.write_bytes(gzip.compress(out.getvalue(), compresslevel=9, mtime=0))
