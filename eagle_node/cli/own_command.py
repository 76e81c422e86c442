"""How this program starts itself once more: the demo's nodes, the pages of ``tui --web``."""

from __future__ import annotations

import sys
from pathlib import Path


def own_command() -> list[str]:
    """The words that start this program again, from any directory, however it was packed."""
    if getattr(sys, "frozen", False):
        return [sys.executable]
    program = Path(sys.argv[0])
    if program.name == "__main__.py" or not program.is_file():
        return [sys.executable, "-m", "eagle_node"]
    return [sys.executable, str(program.resolve())]  # a script, a pex or a zipapp
