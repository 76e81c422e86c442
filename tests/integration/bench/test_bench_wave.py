"""The cold wave's rig: both kinds of clients, the table of cases, and an end by a signal."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.process import CommandFailed, Process, run, running
from tests.support.waiting import until

WAVE = [sys.executable, "-m", "tests.bench.wave"]
SMALL = ["--nodes", "2", "--rate", "100", "--size", "2"]
KEYS = {
    *("last_s", "median_s", "p99_s", "origin_copies", "seeder_copies", "zone_copies"),
    *("failed", "peak_rss_mib", "cpu_s_per_gb"),
}


@pytest.mark.parametrize("runtime", ["http", "containerd"])
async def test_every_node_has_the_image(runtime: str, tmp_path: Path) -> None:
    """All nodes finish, the origin sends little more than one copy, and the picture is there."""
    picture = tmp_path / "curves.png"
    argv = [*WAVE, *SMALL, "--layers", "2", "--runtime", runtime, "--plot", str(picture)]
    *table, last = (await run(argv)).stdout.splitlines()
    report = json.loads(last)
    assert table
    assert report["bench"] == "wave"
    assert report["parameters"]["runtime"] == runtime
    assert report["result"].keys() >= KEYS
    assert report["result"]["failed"] == 0
    assert 1 <= report["result"]["origin_copies"] < 1.1
    assert report["ratio"] > 0
    assert picture.read_bytes().startswith(b"\x89PNG")


async def test_plan_lists_the_cases_and_runs_none() -> None:
    """``--plan`` names each case that was asked for, and no other."""
    argv = [*WAVE, "--table", "--plan", "--only", "zones,churn"]
    output = (await run(argv, timeout=120)).stdout
    assert "zones" in output
    assert "churn" in output
    assert "cold-40" not in output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--spread", "1", "--late", "0.5"], "give one of them"),
        (["--table", "--nodes", "3"], "drop --nodes"),
        (["--table", "--only", "cold"], "no case is called cold"),
        (["--only", "zones"], "add --table"),
        (["--nodes", "3", "--killed", "1"], "lower --killed"),
        (["--layer-sizes", "1,2", "--layers", "2"], "drop --size and --layers"),
        (["--size", "0"], "whole blocks"),
        (["--plot", "curves.jpg"], "PNG"),
        (["--congestion-control", "nosuch"], "this kernel has cubic"),
    ],
)
async def test_contradictions_are_refused(arguments: list[str], sentence: str) -> None:
    """Parameters that cannot be had together end in a sentence, before anything is started."""
    with pytest.raises(CommandFailed, match=sentence):
        await run([*WAVE, *arguments], timeout=120)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_nothing_is_left_after_a_signal(number: signal.Signals, tmp_path: Path) -> None:
    """Namespaces, processes and files of a wave are gone when it ends by a signal."""
    async with _wave_on_the_way(tmp_path) as wave:
        prefix = f"eagle-{wave.pid}-"

        async def nodes_are_up() -> bool:
            return bool(_files(tmp_path, "eagle-wave-*/n0/data/ports.json"))

        await until(nodes_are_up, what="the first node's ports", timeout=30)
        assert prefix in (await run(["ip", "netns", "list"])).stdout
        wave.signal(number)
        assert await wave.wait(timeout=30) == 128 + number
        assert f"interrupted by {number.name}" in wave.log()
        assert prefix not in (await run(["ip", "netns", "list"])).stdout
        assert _files(tmp_path, "eagle-*") == []
        assert _processes_with(str(tmp_path)) == []


@asynccontextmanager
async def _wave_on_the_way(directory: Path) -> AsyncIterator[Process]:
    """A wave that would take minutes, with its files in ``directory``."""
    argv = [*WAVE, "--nodes", "2", "--rate", "1", "--size", "32"]
    log = directory / "wave.log"
    async with running(argv, log=log, env={"TMPDIR": str(directory)}) as wave:
        yield wave


def _files(directory: Path, pattern: str) -> list[Path]:
    return list(directory.glob(pattern))


def _processes_with(text: str) -> list[str]:
    """Command lines that hold ``text``."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in found if text in line]


@pytest.mark.slow
async def test_preheat_is_told_beside_the_wave() -> None:
    """Every node has both images; the origin sends each once."""
    argv = [sys.executable, "-m", "tests.bench.preheat", "--nodes", "3", "--rate", "200"]
    done = await run([*argv, "--interval", "4", "--json"], timeout=240)
    report = json.loads(done.stdout)
    assert report["result"]["origin_copies"] < 1.1
    assert report["ratio"] > 0
