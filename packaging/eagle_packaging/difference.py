"""Where two builds of an artefact differ, told by the names of what is inside."""

from __future__ import annotations

import hashlib
import io
import itertools
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

MOST_LINES = 12
"""Of a difference; one cause mostly shows in many files."""


def difference(one: Path, another: Path) -> str:
    """Nothing if both files are the same bytes; else lines that tell where they differ."""
    if not another.exists():
        return "was built once only"
    first, second = one.read_bytes(), another.read_bytes()
    if first == second:
        return ""
    lines = list(itertools.islice(_lines(one, another), MOST_LINES))
    return "\n".join(lines or [_offset(first, second)])


def _lines(one: Path, another: Path) -> Iterator[str]:
    """A line for each member that one alone has, or that differs."""
    first, second = _members(one), _members(another)
    for name in sorted(first.keys() | second.keys()):
        if first.get(name) != second.get(name):
            alone = "" if name in first and name in second else " (in one build only)"
            yield f"{name}{alone}"
    if first == second and list(first) != list(second):
        yield "the order of what is inside"


def _members(path: Path) -> dict[str, tuple[object, ...]]:
    """What describes each member of an archive, by name; empty for other files."""
    if path.suffix == ".deb":
        listed = subprocess.run(["dpkg-deb", "--fsys-tarfile", path], capture_output=True)
        return _tar_members(listed.stdout)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return {
                info.filename: (info.CRC, info.date_time, info.external_attr, info.compress_size)
                for info in archive.infolist()
            }
    if tarfile.is_tarfile(path):
        return _tar_members(path.read_bytes())
    return {}


def _tar_members(content: bytes) -> dict[str, tuple[object, ...]]:
    members: dict[str, tuple[object, ...]] = {}
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for each in archive:
            file = archive.extractfile(each) if each.isreg() else None
            digest = hashlib.sha256(file.read()).hexdigest() if file else each.linkname
            members[each.name] = (digest, each.mtime, each.mode, each.uid, each.gid)
    return members


def _offset(first: bytes, second: bytes) -> str:
    for position, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return f"from byte {position:,} on"
    return f"{abs(len(first) - len(second)):,} bytes at the end"
