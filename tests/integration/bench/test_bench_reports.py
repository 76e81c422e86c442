"""The benchmarks run, on small parameters, and end with the JSON object that others rely on."""

from __future__ import annotations

import json
import sys

import pytest

from tests.support.process import run

SMALL = {
    "hit": ["--size", "4", "--rounds", "1"],
    "single": ["--size", "2", "--rounds", "1", "--rate", "200"],
    "idle": ["--seconds", "0.5", "--settle", "0"],
    "pair": ["--size", "4", "--rounds", "1"],
    "lazy": ["--size", "4", "--read", "64"],
    "memory": ["--size", "4", "--settle", "0"],
    "gossip": ["--seconds", "2.5", "--nodes", "2", "--simulated", "10"],
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name == "lazy" else ()) for name in SMALL],
)
async def test_bench_prints_its_report_last(name: str) -> None:
    """A benchmark prints a table, then one JSON object with limit, baseline, result and ratio."""
    output = (await run([sys.executable, "-m", f"tests.bench.{name}", *SMALL[name]])).stdout
    *table, last = output.splitlines()
    report = json.loads(last)
    assert table
    assert report["bench"] == name
    assert set(report) == {"bench", "parameters", "limit", "baseline", "result", "ratio"}
    assert report["limit"].keys() == {"what", "value", "unit"}
    assert report["ratio"] > 0


async def test_bench_prints_only_json_when_asked() -> None:
    """With ``--json`` the report is the whole output."""
    argv = [sys.executable, "-m", "tests.bench.idle", *SMALL["idle"], "--json"]
    output = (await run(argv)).stdout
    assert json.loads(output)["bench"] == "idle"
