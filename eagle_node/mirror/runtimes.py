"""Which container runtimes a system has."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from eagle_node.mirror.files import HostFiles
from eagle_node.mirror.model import Runtime

_DIRECTORIES = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_PROGRAMS: Mapping[Runtime, Sequence[str]] = {
    Runtime.CONTAINERD: ("containerd",),
    Runtime.DOCKER: ("dockerd",),
    Runtime.PODMAN: ("podman", "skopeo", "buildah"),
    Runtime.CRIO: ("crio",),
}


def installed_runtimes(files: HostFiles) -> list[Runtime]:
    """Those whose program is there, in a fixed order."""
    return [
        runtime
        for runtime, programs in _PROGRAMS.items()
        if any(_is_program(files, name) for name in programs)
    ]


def _is_program(files: HostFiles, name: str) -> bool:
    return any(os.access(files.place(f"{directory}/{name}"), os.X_OK) for directory in _DIRECTORIES)
