"""What every benchmark prints: a table for people, then one JSON object as the last line."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What could not be done better, measured in the same run."""

    what: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The outcome of a benchmark."""

    bench: str
    parameters: Mapping[str, Any]
    limit: Limit
    baseline: Mapping[str, Any]
    result: Mapping[str, Any]
    ratio: float
    """Result to limit or baseline; lower is better."""

    def to_json(self) -> str:
        """One line; floats with four digits after the point."""
        return json.dumps(_rounded(asdict(self)))


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser that knows ``--json``."""
    made = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    made.add_argument("--json", action="store_true", help="only the JSON object")
    return made


def emit(
    report: Report, columns: Sequence[str], rows: Sequence[Sequence[str]], *, only_json: bool
) -> None:
    """Print the table, unless only JSON is wanted, and the JSON object."""
    if not only_json:
        table = Table(title=report.bench)
        for number, column in enumerate(columns):
            table.add_column(column, justify="right" if number else "left")
        for row in rows:
            table.add_row(*row)
        Console().print(table)
    print(report.to_json())


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and all its threads so far (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def group_cpu_seconds(leader: int) -> float:
    """The same of every process in a process group, and of those that it has reaped."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == leader:
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int) -> Mapping[str, float]:
    """Every size of ``/proc/PID/status``, MiB: ``VmRSS``, ``VmHWM``, ``RssAnon``, ``RssFile`` …"""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {
        name: int(value.split()[0]) / 1024
        for name, _, value in (line.partition(":") for line in lines)
        if value.endswith(" kB")
    }


def peak_rss_mib(pid: int) -> float:
    """The most memory that was resident since the start or `reset_peak_rss`, MiB."""
    return memory_mib(pid)["VmHWM"]


def reset_peak_rss(pid: int) -> None:
    """Let the peak start anew from what is resident now (proc(5), ``clear_refs``)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def resident_mib(pid: int) -> float:
    """Resident memory of a process, MiB."""
    return (
        int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        * os.sysconf("SC_PAGE_SIZE")
        / (1 << 20)
    )


def thread_count(pid: int) -> int:
    """Threads of a process."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def _rounded(value: Any) -> Any:
    match value:
        case float():
            return round(value, 4)
        case dict():
            return {key: _rounded(each) for key, each in value.items()}
        case list() | tuple():
            return [_rounded(each) for each in value]
    return value
