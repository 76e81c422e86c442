"""The pins of a running node, out of the lock that holds those of its developers too.

pip-compile notes below each pin who asked for it (``# via``), so the file is a graph; a node needs
what can be reached from the project's own dependencies and `BUNDLED_EXTRAS`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

BUNDLED_EXTRAS = ("otel",)
"""Extras of the project that every artefact holds: what is packed takes no further packages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One package of the lock."""

    name: str
    """As PyPI normalises it (PEP 503)."""
    version: str
    hashes: tuple[str, ...]
    """``sha256:`` and hex: of every file of that version."""
    via: frozenset[str]
    """Who asked for it, normalised."""

    def requirement(self) -> str:
        """The lines of a requirements file that pip takes with ``--require-hashes``."""
        hashes = "".join(f" \\\n    --hash={each}" for each in self.hashes)
        return f"{self.name}=={self.version}{hashes}\n"


def normalized(name: str) -> str:
    """A project's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_lock(text: str) -> dict[str, Pin]:
    """All pins of a file that pip-compile wrote with ``--generate-hashes``, by name."""
    blocks = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    return {pin.name: pin for pin in map(_parse_pin, blocks)}


def runtime_pins(root: Path) -> list[Pin]:
    """What the artefacts hold beside the project, sorted by name."""
    wanted = map(_project_name, bundled_requirements(root))
    return reachable(parse_lock((root / "requirements.lock").read_text()), wanted)


def bundled_requirements(root: Path) -> list[str]:
    """What ``pyproject.toml`` asks for, `BUNDLED_EXTRAS` included."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = (project["optional-dependencies"][extra] for extra in BUNDLED_EXTRAS)
    return [each for group in (project["dependencies"], *extras) for each in group]


def reachable(pins: Mapping[str, Pin], wanted: Iterable[str]) -> list[Pin]:
    """``wanted`` and all that they ask for, sorted; `KeyError` for a name that is not pinned."""
    found = {normalized(name) for name in wanted}
    while more := {pin.name for pin in pins.values() if pin.via & found} - found:
        found |= more
    return [pins[name] for name in sorted(found)]


def _project_name(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None, requirement
    return match[0]


def _parse_pin(block: str) -> Pin:
    head = re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", block)
    if head is None:
        raise ValueError(f"requirements.lock: not a pin: {block.splitlines()[0]}")
    via = re.search(r"# via((?:\n?[ #]+\S.*)+)", block)
    return Pin(
        name=normalized(head[1]),
        version=head[2],
        hashes=tuple(re.findall(r"--hash=(sha256:[0-9a-f]{64})", block)),
        via=frozenset(
            normalized(_project_name(word))
            for line in (via[1].splitlines() if via else ())
            if (word := line.strip(" #"))
        ),
    )
