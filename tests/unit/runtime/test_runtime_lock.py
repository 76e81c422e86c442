"""Rules of the data directory's lock, with real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from eagle_node.base.errors import StartError
from eagle_node.runtime.lock import exclusive

_HOLDER = """
import sys
from pathlib import Path
from eagle_node.runtime.lock import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_holder_is_told_who_the_first_is(tmp_path: Path) -> None:
    """The error names the directory, the process and the flag."""
    with holder(tmp_path) as process, pytest.raises(StartError) as caught, exclusive(tmp_path):
        pass
    message = str(caught.value)
    assert str(process.pid) in message
    assert str(tmp_path) in message
    assert "--data-dir" in message


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    """The kernel lets go of the lock with the process."""
    with holder(tmp_path) as process:
        process.kill()
        process.wait()
        with exclusive(tmp_path):
            assert (tmp_path / "lock").read_text() == str(os.getpid())


def test_the_lock_is_free_again_after_use(tmp_path: Path) -> None:
    """Also when the holder failed; the directory is made when it is not there."""
    directory = tmp_path / "a" / "b"
    with pytest.raises(RuntimeError), exclusive(directory):
        raise RuntimeError
    with exclusive(directory):
        pass


def test_a_directory_that_cannot_be_used_names_the_flag(tmp_path: Path) -> None:
    """A file in its place is a start error."""
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match="--data-dir"), exclusive(tmp_path / "file"):
        pass
