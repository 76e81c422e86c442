"""Man page and shell completions, printed by the program itself."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from eagle_packaging.archive import gzipped
from eagle_packaging.place import BuildError

COMPLETIONS = {
    "bash": "usr/share/bash-completion/completions/eagle-node",
    "zsh": "usr/share/zsh/vendor-completions/_eagle-node",
    "fish": "usr/share/fish/vendor_completions.d/eagle-node.fish",
}


def helper_files(program: Path) -> dict[str, bytes]:
    """What a package installs beside the program, by path without a leading slash."""
    files = {
        path: _printed([str(program), "completion", shell]) for shell, path in COMPLETIONS.items()
    }
    files["usr/share/man/man1/eagle-node.1.gz"] = gzipped(_printed([str(program), "man"]))
    return files


def _printed(argv: Sequence[str]) -> bytes:
    done = subprocess.run(argv, capture_output=True)
    if done.returncode or not done.stdout:
        raise BuildError(f"{' '.join(argv)}: status {done.returncode}: {done.stderr.decode()}")
    return done.stdout
