"""eagle-node.pyz with a program of two lines, run by this Python."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from eagle_packaging import bootstrap, zipapp
from eagle_packaging.archive import write_zip

PROGRAM = b"import sys\ndef main():\n    print(__file__, *sys.argv[1:])\n    return 3\n"
TAG = f"cp{sys.version_info.major}{sys.version_info.minor}"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A zipapp whose native part would be for this Python and for another one."""
    return built(tmp_path)


def built(directory: Path, *, pythons: str = PYTHON, arch: str = os.uname().machine) -> Path:
    """The archive, for the Pythons and the machine that it says."""
    files: dict[str, Path | bytes] = {
        "common/eagle_node/__init__.py": b"",
        "common/eagle_node/cli/__init__.py": b"",
        f"{TAG}/eagle_node/cli/main.py": PROGRAM,
        "cp27/eagle_node/cli/main.py": b"wrong",
        "build.json": f'{{"id": "abc", "pythons": ["{pythons}"], "arch": "{arch}"}}'.encode(),
        "__main__.py": Path(bootstrap.__file__).read_bytes(),
    }
    write_zip(directory / "eagle-node.pyz", files, epoch=0, head=zipapp.SHEBANG)
    return directory / "eagle-node.pyz"


def started(archive: Path, unpack: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The archive, run with nothing in its environment but where to unpack."""
    return subprocess.run(
        [sys.executable, "-I", str(archive), *arguments],
        env={bootstrap.UNPACK_VARIABLE: str(unpack)},
        capture_output=True,
        text=True,
    )


def test_it_unpacks_what_this_python_needs_and_runs(archive: Path, tmp_path: Path) -> None:
    """Arguments and exit status pass; the second start finds the first one's files."""
    for _ in range(2):
        done = started(archive, tmp_path / "cache", "run", "--x")
        where = tmp_path / "cache" / f"abc-{TAG}"
        assert done.stdout == f"{where}/eagle_node/cli/main.py run --x\n", done.stderr
        assert done.returncode == 3
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [where.name]
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700


def test_a_directory_that_others_can_write_is_refused(archive: Path, tmp_path: Path) -> None:
    """Nobody else can have put code there."""
    (tmp_path / "open").mkdir(mode=0o777)
    (tmp_path / "open").chmod(0o777)
    done = started(archive, tmp_path / "open")
    assert done.returncode == 1
    assert "not this user's alone" in done.stderr
    assert list((tmp_path / "open").iterdir()) == []


def test_what_is_in_the_way_is_named(archive: Path, tmp_path: Path) -> None:
    """The message has the path and the way out."""
    (tmp_path / "file").write_text("")
    done = started(archive, tmp_path / "file" / "below")
    assert done.returncode == 1
    assert str(tmp_path / "file" / "below") in done.stderr
    assert bootstrap.UNPACK_VARIABLE in done.stderr


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"pythons": "2.7"}, "CPython 2.7"), ({"arch": "pdp11"}, "Linux on pdp11")],
)
def test_the_wrong_machine_is_told(tmp_path: Path, wrong: dict[str, str], said: str) -> None:
    """Another Python or processor gets a sentence, not a traceback."""
    done = started(built(tmp_path, **wrong), tmp_path / "cache")
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_wheels_that_all_pythons_share_go_in_once(tmp_path: Path) -> None:
    """Pure wheels are common; a native one is in its version's part."""
    paths = {}
    for name in ("pure-1-py3-none-any", "native-1-cp311-cp311-x", "native-1-cp312-cp312-x"):
        paths[name] = tmp_path / f"{name}.whl"
        with zipfile.ZipFile(paths[name], "w") as wheel:
            wheel.writestr(f"{name.split('-')[0]}/__init__.py", name)
            wheel.writestr(f"{name.split('-')[0]}-1.data/scripts/tool", "")
    pure, old, new = paths.values()
    assert zipapp.contents({"3.11": [pure, old], "3.12": [pure, new]}) == {
        "common/pure/__init__.py": b"pure-1-py3-none-any",
        "cp311/native/__init__.py": b"native-1-cp311-cp311-x",
        "cp312/native/__init__.py": b"native-1-cp312-cp312-x",
    }
