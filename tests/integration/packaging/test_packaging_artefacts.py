"""``make package``: all of it, from nothing, with its own proof."""

from __future__ import annotations

import fnmatch
from pathlib import Path

import pytest

from tests.support.process import run

ROOT = Path(__file__).parents[3]
LONGEST_S = 3000.0
ARTEFACTS = (
    *("eagle-node", "eagle-node.pex", "eagle-node.pyz", "eagle-node.oci.tar"),
    *("eagle-node.cdx.json", "eagle-node_*.deb", "eagle_node-*.whl", "eagle_node-*.tar.gz"),
)


@pytest.mark.slow
@pytest.mark.timeout(LONGEST_S + 60)
async def test_every_artefact_is_built_and_pulls_an_image(tmp_path: Path) -> None:
    """One command builds them, and a real image comes through two nodes of each."""
    argv = ["make", "-C", str(ROOT), "package", f"DIST={tmp_path}"]
    told = (await run(argv, timeout=LONGEST_S)).stdout
    built = [path.name for path in _listed(tmp_path)]
    for pattern in ARTEFACTS:
        assert len(fnmatch.filter(built, pattern)) == 1, pattern
    assert "FAILED" not in told
    labels = ("wheel", "pex", "pyz", "executable", "deb", "image", "engines", "systemd", "hosts")
    for label in labels:
        assert f"\n{label}, " in told, told


@pytest.mark.slow
@pytest.mark.timeout(LONGEST_S + 60)
async def test_a_second_build_elsewhere_is_the_same_bytes(tmp_path: Path) -> None:
    """Neither place, umask, time zone, language nor hash seed shows in any artefact."""
    argv = ["make", "-C", str(ROOT), "package-twice", f"DIST={tmp_path}"]
    told = (await run(argv, timeout=LONGEST_S)).stdout.splitlines()
    words = {
        path.name: [line for line in told if line.endswith(f"  {path.name}")]
        for path in _listed(tmp_path)
    }
    assert len(words) == len(ARTEFACTS)
    for name, lines in words.items():
        assert lines[-1].startswith("identical "), lines or name


def _listed(directory: Path) -> list[Path]:
    return sorted(directory.iterdir())
