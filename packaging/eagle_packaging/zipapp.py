"""eagle-node.pyz: one file with the wheels of several Python versions, run by any of them.

``common/`` holds what all versions share (pure and stable-ABI wheels), ``cp311/`` and so on what
only one can load.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from eagle_packaging import bootstrap
from eagle_packaging.archive import write_zip
from eagle_packaging.place import PYTHONS, Place
from eagle_packaging.wheels import fetch_all, unpack

SHEBANG = b"#!/usr/bin/env python3\n"


def build_zipapp(place: Place, wheel: Path) -> Path:
    """Write ``eagle-node.pyz``."""
    files = contents({python: [*wheels, wheel] for python, wheels in fetch_all(place).items()})
    build = {"id": _identity(files), "pythons": list(PYTHONS), "arch": place.arch}
    files["build.json"] = json.dumps(build, sort_keys=True).encode()
    files["__main__.py"] = Path(bootstrap.__file__).read_bytes()
    target = place.dist / "eagle-node.pyz"
    write_zip(target, files, epoch=place.epoch, head=SHEBANG)
    return target


def contents(wheels: dict[str, list[Path]]) -> dict[str, Path | bytes]:
    """The archive's files but its two own: a wheel that all versions use goes in once."""
    files: dict[str, Path | bytes] = {}
    everywhere = set.intersection(*({path.name for path in paths} for paths in wheels.values()))
    for python, paths in wheels.items():
        for path in paths:
            prefix = "common" if path.name in everywhere else f"cp{python.replace('.', '')}"
            files |= {f"{prefix}/{name}": content for name, content in unpack(path).items()}
    return files


def _identity(files: dict[str, Path | bytes]) -> str:
    """A name for this content: the directory that it is unpacked to."""
    total = hashlib.sha256()
    for name in sorted(files):
        content = files[name]
        assert isinstance(content, bytes)
        total.update(f"{name}\0{len(content)}\0".encode() + hashlib.sha256(content).digest())
    return total.hexdigest()[:32]
