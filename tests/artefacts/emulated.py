"""A portable artefact built for another architecture, run by that one's Python under qemu.

The Python is Debian's, unpacked but not set up, since none of its programs runs here by itself.
What starts it again has to start qemu: ``/usr/local/bin/python3`` does, and is what
`sys.executable` names there.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.artefacts.machine import root_over
from tests.artefacts.starts import CHROOT, MAKE_ROOT_S, RELEASE, bare, mounted
from tests.support.process import run

ARCHITECTURES = {"aarch64": "arm64", "x86_64": "amd64"}
"""Debian's names for the kernel's."""

PACKAGES = "ca-certificates,python3"
PYTHON = "/usr/local/bin/python3"
REAL_PYTHON = "/usr/bin/python3.11"
STARTER = """\
#!{qemu} {real}
import os, sys
os.execv("{qemu}", ["qemu", "-0", "{python}", "{real}", *sys.argv[1:]])
"""
UNPACK = 'dpkg-deb --fsys-tarfile "$0" | tar --extract --keep-directory-symlink --directory "$1"'
AUTHORITIES = "usr/share/ca-certificates/mozilla/*.crt"
USERS = "root:x:0:0:root:/root:/bin/sh\n"


@asynccontextmanager
async def portable(
    file: Path, arch: str, work: Path, directory: Path
) -> AsyncIterator[Sequence[str]]:
    """A pex or a zipapp on a bare Debian of that architecture."""
    base = await _debian(arch, work)
    with root_over(base, directory) as root, mounted(root, directory):
        shutil.copy(file, root)
        caches = (f"EAGLE_UNPACK_DIR={directory}/unpacked", f"PEX_ROOT={directory}/unpacked")
        start = [CHROOT, str(root), PYTHON, f"/{file.name}"]
        yield [*bare(directory / "home", *caches), *start]


async def _debian(arch: str, work: Path) -> Path:
    """A minimal Debian with Python; made once."""
    root = work / f"debian-{RELEASE}-{arch}"
    if not root.exists():
        part = root.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        options = [f"--arch={ARCHITECTURES[arch]}", "--foreign", "--variant=minbase"]
        command = ["debootstrap", *options, f"--include={PACKAGES}", RELEASE, str(part)]
        await run(command, timeout=MAKE_ROOT_S)
        for package in sorted(part.glob("var/cache/apt/archives/*.deb")):
            await run(["sh", "-c", UNPACK, str(package), str(part)])
        qemu = f"/usr/bin/qemu-{arch}-static"
        shutil.copy(qemu, part / qemu[1:])
        starter = part / PYTHON[1:]
        starter.parent.mkdir(parents=True, exist_ok=True)
        starter.write_text(STARTER.format(qemu=qemu, python=PYTHON, real=REAL_PYTHON))
        starter.chmod(0o755)
        (part / "etc" / "passwd").write_text(USERS)
        known = [file.read_text() for file in sorted(part.glob(AUTHORITIES))]
        certificates = part / "etc" / "ssl" / "certs"
        certificates.mkdir(parents=True, exist_ok=True)
        (certificates / "ca-certificates.crt").write_text("".join(known))
        if (part / "proc").is_symlink():  # debootstrap's way in a container
            (part / "proc").unlink()
            (part / "proc").mkdir()
        part.rename(root)
    return root
