"""eagle-node.pex: the wheels of all versions, packed by pex.

pex asks no index: the wheels are those of the lock, and its loader takes those that fit the Python
that it runs on.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from eagle_packaging.place import PYTHONS, Place, run
from eagle_packaging.wheels import NEWEST_GLIBC, OLDEST_GLIBC, fetch_all


def build_pex(place: Place, wheel: Path) -> Path:
    """Write ``eagle-node.pex``."""
    target = place.dist / "eagle-node.pex"
    wheels = place.work / "pex-wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    wheels.mkdir(parents=True)
    for path in [*(path for paths in fetch_all(place).values() for path in paths), wheel]:
        shutil.copy(path, wheels)
    requirements = sorted({pinned(path) for path in wheels.iterdir()})
    argv: list[str | Path] = [sys.executable, "-m", "pex", "--disable-cache"]
    argv += ["--pre-resolved-dists", wheels, "--intransitive", *requirements]
    argv += [f"--complete-platform={json.dumps(platform(each, place.arch))}" for each in PYTHONS]
    argv += ["--python-shebang", "/usr/bin/env python3", "--script", "eagle-node"]
    argv += ["--no-compile", "--output-file", target]
    run(argv, epoch=place.epoch)
    target.chmod(0o755)
    return target


def pinned(wheel: Path) -> str:
    """``name==version`` of a wheel, from its file name (PEP 427)."""
    match = re.match(r"([^-]+)-([^-]+)-", wheel.name)
    assert match is not None, wheel.name
    return f"{match[1]}=={match[2]}"


def platform(python: str, arch: str) -> dict[str, Any]:
    """What a Python of that version on Linux is to pex (``pex3 interpreter inspect --markers``)."""
    from packaging.tags import compatible_tags, cpython_tags

    version = tuple(map(int, python.split(".")))
    minors = range(NEWEST_GLIBC, OLDEST_GLIBC - 1, -1)
    platforms = [*(f"manylinux_2_{minor}_{arch}" for minor in minors), f"manylinux2014_{arch}"]
    tags = [
        *cpython_tags(version, platforms=platforms),
        *compatible_tags(version, interpreter=f"cp{version[0]}{version[1]}", platforms=platforms),
    ]
    return {
        "compatible_tags": list(map(str, tags)),
        "marker_environment": {
            "implementation_name": "cpython",
            "implementation_version": f"{python}.0",
            "os_name": "posix",
            "platform_machine": arch,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{python}.0",
            "python_version": python,
            "sys_platform": "linux",
        },
    }
