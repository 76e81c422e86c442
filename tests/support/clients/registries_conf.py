"""registries.conf(5) and policy.json(5) of the containers/image family."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tests.support.clients.route import Route


def write_registries_conf(directory: Path, routes: Sequence[Route]) -> Path:
    """The file's path; mirrors get the registry's name as the first part of the path."""
    lines = ["unqualified-search-registries = []"]
    for route in routes:
        lines += ["[[registry]]", f'prefix = "{route.name}"']
        lines += [f'location = "{route.origin or route.name}"', "insecure = true"]
        if route.mirror:
            lines += ["[[registry.mirror]]", f'location = "{route.mirror}/{route.name}"']
            lines += ["insecure = true"]
    return _write(directory / "registries.conf", "\n".join([*lines, ""]))


def write_policy(directory: Path) -> Path:
    """A signature policy that asks for none, whatever the machine's own says."""
    policy = {"default": [{"type": "insecureAcceptAnything"}]}
    return _write(directory / "policy.json", json.dumps(policy))


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
