"""Which shared libraries of the building system a packed directory needs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ELF = b"\x7fELF"


def foreign_libraries(directory: Path) -> dict[str, Path]:
    """Libraries that files below ``directory`` load from outside, by absolute name.

    The programs at its top load all of theirs from outside: they run before they know of ``lib``.
    """
    found: dict[str, Path] = {}
    below = {path.name for path in directory.rglob("*")}
    for path in elf_files(directory):
        inside = set() if path.parent == directory else below
        listed = subprocess.run(["ldd", str(path)], capture_output=True, text=True).stdout
        for name in re.findall(r"(/\S+) \(0x", listed):
            if Path(name).name not in inside:
                found[name] = Path(name).resolve()
    return found


def needed_glibc(directory: Path) -> str:
    """The newest version of glibc's symbols that files below ``directory`` ask for."""
    newest = (2, 0)
    for path in elf_files(directory):
        for major, minor in re.findall(rb"GLIBC_(\d+)\.(\d+)", path.read_bytes()):
            newest = max(newest, (int(major), int(minor)))
    return f"{newest[0]}.{newest[1]}"


def elf_files(directory: Path) -> list[Path]:
    """Programs and libraries below ``directory``."""
    return [
        path
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not path.is_symlink() and _starts_as_elf(path)
    ]


def _starts_as_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == ELF
