"""What SIGTERM and SIGINT do to running work, in a process of its own."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.support.process import Process, running
from tests.support.waiting import until

PROGRAM = """\
import asyncio, sys
from eagle_node.cli.exits import Exit
from eagle_node.cli.signals import until_signal

async def work():
    print("working", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        print("stopping", flush=True)
        await asyncio.sleep(float(sys.argv[1]))
        print("stopped", flush=True)

sys.exit(asyncio.run(until_signal(work(), on_sigterm=Exit.OK)))
"""
FOR_EVER = "3600"


async def says(process: Process, word: str) -> None:
    """Wait until it has printed ``word``."""

    async def said() -> bool:
        return word in process.log().split()

    await until(said, what=f"{word!r} of {process.log_tail()}", timeout=60)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
@pytest.mark.parametrize("stop_s", ["0", "0.2"])
async def test_a_signal_that_comes_twice_at_once_is_one(
    number: signal.Signals, status: int, stop_s: str, tmp_path: Path
) -> None:
    """The single executable's loader passes on what its whole group has got: work ends in order."""
    argv = [sys.executable, "-c", PROGRAM, stop_s]
    async with running(argv, log=tmp_path / "log") as process:
        await says(process, "working")
        for _ in range(3):
            process.signal(number)
        assert await process.wait() == status
        assert "stopped" in process.log()


async def test_a_later_signal_ends_work_that_does_not_stop(tmp_path: Path) -> None:
    """Whoever asks again is not left with a process that hangs."""
    argv = [sys.executable, "-c", PROGRAM, FOR_EVER]
    async with running(argv, log=tmp_path / "log") as process:
        await says(process, "working")
        process.signal(signal.SIGTERM)
        await says(process, "stopping")

        async def has_ended() -> bool:
            process.signal(signal.SIGTERM)
            return process.status is not None

        await until(has_ended, what="the end of the process", timeout=60, interval=0.1)
        assert process.status == -signal.SIGTERM
        assert "stopped" not in process.log()
