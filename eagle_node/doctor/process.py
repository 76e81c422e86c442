"""Whether the node of a data directory runs, and where it listens."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A node's process."""

    pid: int | None
    """None: it does not say."""
    ports: Mapping[str, int]
    """By what listens there; empty while it starts. 0: nothing does."""


def running_node(data_dir: Path) -> Running | None:
    """The process that holds ``data_dir``; None: there is none, or it cannot be seen."""
    try:
        with (data_dir / "lock").open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None
            except BlockingIOError:
                text = lock.read(32).decode("ascii", "replace").strip()
    except OSError:
        return None
    return Running(pid=int(text) if text.isdecimal() else None, ports=_ports(data_dir))


def _ports(data_dir: Path) -> Mapping[str, int]:
    try:
        ports: dict[str, int] = json.loads((data_dir / "ports.json").read_text())
    except (OSError, ValueError):
        return {}
    return ports
