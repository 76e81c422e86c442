"""``python -m eagle_packaging.twice ARTEFACT …``: two builds in two places are the same bytes."""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from eagle_packaging.__main__ import main as build


def main(artefacts: Sequence[str]) -> int:
    """Build twice, compare, tell; 1 if anything differs."""
    with tempfile.TemporaryDirectory(prefix="eagle-twice-") as directory:
        sums = []
        for name in ("one", "another"):
            dist = Path(directory) / name / "dist"
            work = Path(directory) / name / "some" / "deeper" / "work"
            if status := build(["--work", str(work), "--dist", str(dist), *artefacts]):
                return status
            sums.append({path.name: _digest(path) for path in sorted(dist.iterdir())})
    different = [name for name in sums[0] if sums[0][name] != sums[1].get(name)]
    for name in sums[0]:
        print(f"{'DIFFERENT' if name in different else 'identical'}  {name}")
    return int(bool(different))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
