"""What the wheel holds beside Python files."""

from __future__ import annotations

import tomllib
from pathlib import Path, PurePath

ROOT = Path(__file__).parents[3]
PACKAGES = {"eagle_node": ROOT / "eagle_node", "eagle_tui": ROOT / "tui" / "eagle_tui"}


def test_every_data_file_is_declared() -> None:
    """A style sheet or a contract that only the source tree has breaks each artefact."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    declared = tools["setuptools"]["package-data"]
    for name, directory in PACKAGES.items():
        for path in directory.rglob("*"):
            relative = path.relative_to(directory)
            if path.is_file() and path.suffix != ".py" and "__pycache__" not in relative.parts:
                assert any(_matches(relative, glob) for glob in declared[name]), path


def _matches(path: PurePath, glob: str) -> bool:
    return path.match(glob.removeprefix("**/"))
