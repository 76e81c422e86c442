"""Child processes: their end, their output and their orphans are never lost."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.support.process import CommandFailed, run, running
from tests.support.waiting import TimedOut, until

PARENT = """
import asyncio
from pathlib import Path
from tests.support.process import running
async def main():
    async with running(["sleep", "60"], log=Path("LOG")) as child:
        print(child.pid, flush=True)
        await child.wait(timeout=60)
asyncio.run(main())
"""


async def never() -> bool:
    """Readiness that does not come."""
    return False


async def test_run_returns_both_streams() -> None:
    """A command that succeeds hands back what it wrote."""
    done = await run(["sh", "-c", "echo out; echo err >&2"])
    assert (done.stdout, done.stderr) == ("out\n", "err\n")


async def test_run_shows_the_output_of_a_failure() -> None:
    """A failing command raises with its status and its last words."""
    with pytest.raises(CommandFailed, match=r"(?s)status 3.*last words"):
        await run(["sh", "-c", "echo last words; exit 3"])


async def test_run_kills_what_takes_too_long() -> None:
    """A command that outlasts its timeout is killed and reported."""
    with pytest.raises(CommandFailed, match="still running"):
        await run(["sleep", "60"], timeout=0.1)


async def test_early_end_shows_the_log(tmp_path: Path) -> None:
    """A server that ends before it is ready fails with its log."""
    argv = ["sh", "-c", "echo address in use; exit 1"]
    with pytest.raises(CommandFailed, match=r"(?s)ended before.*address in use"):
        async with running(argv, log=tmp_path / "log", ready=never):
            pass


async def test_late_readiness_shows_the_log(tmp_path: Path) -> None:
    """A server that is never ready fails with its log, and is gone."""
    argv = ["sh", "-c", "echo loading; exec sleep 60"]
    with pytest.raises(TimedOut, match="loading"):
        async with running(argv, log=tmp_path / "log", ready=never, timeout=0.3):
            pass


async def test_block_ends_the_whole_group(tmp_path: Path) -> None:
    """Children of the child that ignore SIGTERM are gone with it when it is killed."""
    script = "trap '' TERM; sleep 60 & echo $!; wait; wait"
    async with running(["sh", "-c", script], log=tmp_path / "log", grace=0.2) as process:

        async def has_printed() -> bool:
            return process.log() != ""

        await until(has_printed, what="the grandchild's pid")
        grandchild = int(process.log())
    assert process.status == -signal.SIGKILL
    await until(lambda: _is_gone(grandchild), what="the grandchild to go")


async def test_children_die_with_their_parent(tmp_path: Path) -> None:
    """A child does not outlive the process that started it, not even after SIGKILL."""
    source = PARENT.replace("LOG", str(tmp_path / "child.log"))
    async with running([sys.executable, "-c", source], log=tmp_path / "parent.log") as parent:

        async def has_printed() -> bool:
            return parent.log().endswith("\n")

        await until(has_printed, what="the child's pid")
        child = int(parent.log())
        os.kill(parent.pid, signal.SIGKILL)
        await until(lambda: _is_gone(child), what="the child to go")


async def _is_gone(pid: int) -> bool:
    return _state(pid) in ("Z", None)


def _state(pid: int) -> str | None:
    """The state letter of a process (proc(5)), Z when it is dead but not reaped; None: gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return None
