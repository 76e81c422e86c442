"""How each artefact is started in an environment that holds nothing else.

Each is an async context manager that yields the words that start the program; ``directory`` is
where the journey keeps its files, and has the same name inside.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.artefacts.journey import variables
from tests.support.process import run

PYTHONS = ("3.11", "3.12", "3.13")
"""Versions that the portable artefacts promise; those that are on this machine are tried."""

RELEASE = "bookworm"
MAKE_ROOT_S = 1200.0

IMAGE_USER = 65532

CHROOT = "/usr/sbin/chroot"

PURGED = ("usr/lib/eagle-node", "usr/bin/eagle-node", "etc/eagle-node", "var/lib/eagle-node")

CONFINED = [sys.executable, "-I", "-S", str(Path(__file__).with_name("confined.py"))]

UNIT = "lib/systemd/system/eagle-node.service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dist:
    """Where ``make package`` has put things."""

    dist: Path
    work: Path
    version: str

    def file(self, pattern: str) -> Path:
        """The artefact of that name."""
        found = sorted(self.dist.glob(pattern))
        assert len(found) == 1, f"{self.dist} has {len(found)} files {pattern}; run make package"
        return found[0]


def bare(home: Path, *more: str) -> list[str]:
    """``env`` with an empty home, the system's path, and what the journey needs; nothing else."""
    home.mkdir(parents=True, exist_ok=True)
    needed = {"HOME": str(home), "PATH": "/usr/bin:/bin", **variables()}
    return ["env", "-i", *(f"{name}={value}" for name, value in needed.items()), *more]


def pythons() -> Iterator[tuple[str, str]]:
    """Version and path of each bare Python here that an artefact should run on."""
    found = 0
    for version in PYTHONS:
        path = next(filter(None, map(_real_python, _candidates(version))), None)
        if path is not None:
            found += 1
            yield version, path
    assert found, f"none of the Pythons {', '.join(PYTHONS)} is installed"


@asynccontextmanager
async def portable(file: Path, python: str, directory: Path) -> AsyncIterator[Sequence[str]]:
    """A pex or a zipapp, run by a bare Python; it unpacks itself below ``directory``."""
    caches = (f"EAGLE_UNPACK_DIR={directory / 'unpacked'}", f"PEX_ROOT={directory / 'unpacked'}")
    yield [*bare(directory / "home", *caches), python, str(file)]


@asynccontextmanager
async def installed_wheel(
    dist: Dist, version: str, python: str, directory: Path
) -> AsyncIterator[Sequence[str]]:
    """The wheel and its extra in a virtual environment, with the lock's wheels and no index."""
    venv = directory / "venv"
    await run([*bare(directory / "home"), python, "-m", "venv", str(venv)], timeout=120)
    wheels = dist.work / "wheels" / f"{version}-{os.uname().machine}"
    install = ["-m", "pip", "install", "--quiet", "--no-index", "--find-links", str(wheels)]
    wheel = f"{dist.file('eagle_node-*.whl')}[otel]"
    command = [str(venv / "bin" / "python"), *install, wheel]
    await run([*bare(directory / "home"), *command], timeout=300)
    yield [*bare(directory / "home"), str(venv / "bin" / "eagle-node")]


@asynccontextmanager
async def alone(dist: Dist, directory: Path) -> AsyncIterator[Sequence[str]]:
    """The single executable in a root with the C library and nothing else: no Python, no shell."""
    root = directory / "root"
    _unpack_layer(dist.file("eagle-node.oci.tar"), 0, root)
    (root / "usr" / "bin").mkdir(parents=True, exist_ok=True)
    shutil.copy(dist.file("eagle-node"), root / "usr" / "bin")
    with mounted(root, directory):
        yield [*bare(directory / "home"), CHROOT, str(root), "/usr/bin/eagle-node"]


@asynccontextmanager
async def image(dist: Dist, directory: Path) -> AsyncIterator[Sequence[str]]:
    """The image's own file system and user; skopeo has read and checked the image before."""
    archive = f"oci-archive:{dist.file('eagle-node.oci.tar')}"
    copied = f"oci:{directory / 'copied'}:image"
    await run(["skopeo", "--insecure-policy", "copy", "--quiet", archive, copied], timeout=300)
    root = directory / "root"
    for number in (0, 1):
        _unpack_layer(dist.file("eagle-node.oci.tar"), number, root)
    with mounted(root, directory):
        user = f"--userspec={IMAGE_USER}:{IMAGE_USER}"
        yield [*bare(directory / "home"), CHROOT, user, str(root), "/usr/bin/eagle-node"]


@asynccontextmanager
async def package(dist: Dist, directory: Path) -> AsyncIterator[Sequence[str]]:
    """The Debian package, installed by dpkg into a fresh minimal system, and purged at the end.

    The program runs as the package's user, as its unit says: without capabilities, with the unit's
    filters of system calls, and with a view of the files in which it can write but few.
    """
    root = directory / "root"
    await run(["cp", "-a", str(await debian(dist.work)), str(root)], timeout=300)
    deb = dist.file("eagle-node_*.deb")
    shutil.copy(deb, root / "tmp")
    inside = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", CHROOT, str(root)]
    with mounted(root, directory):
        await run([*inside, "dpkg", "--install", f"/tmp/{deb.name}"], timeout=300)
        yield [*bare(directory / "home"), *confined(root, directory), "/usr/bin/eagle-node"]
        await _remove(root, inside, f"/tmp/{deb.name}")


async def _remove(root: Path, inside: Sequence[str], deb: str) -> None:
    """Install over what is there, remove, purge: what is the host's own goes last."""
    config, data = root / "etc/eagle-node/config.toml", root / "var/lib/eagle-node"
    edited = config.read_text() + "\nzone = 'edited'\n"
    config.write_text(edited)
    await run([*inside, "dpkg", "--install", deb], timeout=300)
    await run([*inside, "dpkg", "--remove", "eagle-node"], timeout=300)
    assert config.read_text() == edited, "a new package overwrites the configuration"
    assert data.exists(), "a removal takes the cache"
    assert not (root / "usr/bin/eagle-node").is_symlink()
    await run([*inside, "dpkg", "--purge", "eagle-node"], timeout=300)
    left = [path for path in PURGED if (root / path).exists()]
    assert not left, f"a purge leaves {left}"
    assert "eagle-node" not in (root / "etc/passwd").read_text()


def confined(root: Path, state: Path, *drop_ins: Path) -> list[str]:
    """Words before those of a program in ``root``, so that it runs as the unit says."""
    owner = os.stat(root / "var/lib/eagle-node")
    known = (root / "etc/passwd").read_text()
    assert f"\neagle-node:x:{owner.st_uid}:{owner.st_gid}:" in known, known
    return [
        *CONFINED,
        *(word for unit in (root / UNIT, *drop_ins) for word in ("--unit", str(unit))),
        *["--root", str(root), "--state", str(state)],
        *["--user", f"{owner.st_uid}:{owner.st_gid}", "--"],
    ]


async def debian(work: Path) -> Path:
    """A minimal Debian with what the package depends on; made once."""
    root = work / f"debian-{RELEASE}"
    if not root.exists():
        part = root.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        include = "--include=adduser,ca-certificates"
        command = ["debootstrap", "--variant=minbase", include, RELEASE, str(part)]
        await run(command, timeout=MAKE_ROOT_S)
        part.rename(root)
    return root


@contextmanager
def mounted(root: Path, directory: Path) -> Iterator[None]:
    """``/proc``, ``/dev`` and ``directory`` inside ``root``; unmounted at the end."""
    inside = root / str(directory).lstrip("/")
    binds = [(Path("/proc"), root / "proc"), (Path("/dev"), root / "dev"), (directory, inside)]
    made: list[Path] = []
    try:
        for source, target in binds:
            target.mkdir(parents=True, exist_ok=True)
            subprocess.run(["mount", "--bind", str(source), str(target)], check=True)
            made.append(target)
        yield
    finally:
        for target in reversed(made):
            subprocess.run(["umount", "--lazy", str(target)], check=True)


def _unpack_layer(archive: Path, number: int, root: Path) -> None:
    """Unpack one layer of an OCI archive into ``root``."""
    root.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as layout:
        index = json.loads(_member(layout, "index.json").read())
        manifest = json.loads(_blob(layout, index["manifests"][0]["digest"]).read())
        layer = _blob(layout, manifest["layers"][number]["digest"])
        with tarfile.open(fileobj=layer, mode="r:gz") as content:
            content.extractall(root, filter="fully_trusted")


def _blob(layout: tarfile.TarFile, digest: str) -> IO[bytes]:
    return _member(layout, f"blobs/{digest.replace(':', '/')}")


def _member(layout: tarfile.TarFile, name: str) -> IO[bytes]:
    file = layout.extractfile(name)
    assert file is not None, f"{name} is no file"
    return file


def _candidates(version: str) -> Iterator[str]:
    """Paths that may be a Python of that version: the system's, pyenv's, whatever is named so."""
    yield f"/usr/bin/python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, sorted(pyenv.glob(f"versions/{version}*/bin/python{version}")))
    if named := shutil.which(f"python{version}"):
        yield named


def _real_python(name: str) -> str | None:
    """The interpreter behind a name, which may be a shim; None if it does not run."""
    try:
        asked = subprocess.run(
            [name, "-c", "import os, sys; print(os.path.realpath(sys.executable))"],
            capture_output=True,
            text=True,
        )
    except FileNotFoundError:
        return None
    return asked.stdout.strip() if asked.returncode == 0 else None
