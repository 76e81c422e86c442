"""The wave's command line: one scenario of its parameters, or the table of named cases."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.wave_cases import CASES
from tests.bench.wave_clients import RUNTIMES
from tests.bench.wave_scenario import MIB, TAR_BLOCK, Contradiction, Scenario
from tests.support.netns import CONGESTION_CONTROL

CONGESTION_CONTROLS = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
"""Names of those that this kernel has, without modules that nobody has loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What is to be measured, and how it is told."""

    scenario: Scenario
    """Of a single wave; what both groups of options share is that of the table's cases too."""
    table: tuple[str, ...]
    """Names of cases; empty: a single wave."""
    plan: bool
    runs: int
    plot: Path | None
    json: bool


def parse(argv: Sequence[str] | None, description: str) -> Arguments:
    """Arguments without contradictions; exits with a sentence otherwise."""
    parser = _parser(description)
    given = vars(parser.parse_args(argv))
    try:
        return _arguments(given)
    except Contradiction as error:
        parser.error(str(error))


def _parser(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=description, argument_default=argparse.SUPPRESS, allow_abbrev=False
    )
    wave = parser.add_argument_group("the wave").add_argument
    wave("--nodes", type=int, help="default: 20")
    wave("--rate", type=float, help="Mbit/s of every node's link, each way (default: 20)")
    wave("--origin-rate", type=float, help="Mbit/s of the origin's link (default: --rate)")
    wave("--size", type=float, help="MiB of all layers together (default: 64)")
    wave("--layers", type=int, help="equal layers that are pulled at once (default: 1)")
    wave("--layer-sizes", help="MiB of each layer, comma-separated")
    wave("--zones", type=int, help="default: 1")
    wave("--border", type=float, help="Mbit/s of each zone's uplink")
    wave("--spread", type=float, help="seconds over which nodes arrive")
    wave("--late", type=float, help="share of nodes that arrive after half the wave")
    wave("--slow", type=float, help="share of nodes at a quarter of the rate")
    wave("--sudden", action="store_true", help="these become slow when the wave begins")
    wave("--killed", type=float, help="share of nodes killed on the way")
    wave("--kill-seeder", action="store_true")
    wave("--kill-tracker", action="store_true")
    wave("--freeze", action="store_true", help="stop one node on the way")
    wave("--elected", action="store_true", help="nodes elect seeders and trackers")
    wave("--warm", action="store_true", help="the first node holds the image already")
    both = parser.add_argument_group("the wave and the table").add_argument
    both("--runtime", choices=RUNTIMES, help="the nodes' clients (default: http)")
    both("--congestion-control", help=f"all hosts' (default: {CONGESTION_CONTROL}; reno, bbr)")
    both("--flag", action="append", help="a further flag for every node (repeatable)")
    both("--runs", type=int, help="the median is reported (default: 1; 3 of each case)")
    both("--plot", type=Path, help="completion curves of all nodes, PNG")
    both("--json", action="store_true", help="only the JSON object")
    table = parser.add_argument_group("the table").add_argument
    table("--table", action="store_true", help="the acceptance table instead of one wave")
    table("--only", help=f"cases of the table, comma-separated: {', '.join(CASES)}")
    table("--plan", action="store_true", help="list the table's cases and run none")
    return parser


def _arguments(given: dict[str, Any]) -> Arguments:
    table, only = given.pop("table", False), given.pop("only", None)
    plan, plot, runs = given.pop("plan", False), given.pop("plot", None), given.pop("runs", None)
    only_json = given.pop("json", False)
    common = {
        "runtime": given.pop("runtime", "http"),
        "congestion_control": given.pop("congestion_control", CONGESTION_CONTROL),
        "flags": tuple(given.pop("flag", ())),
    }
    _check_congestion_control(common["congestion_control"])
    if not table and (only is not None or plan):
        raise Contradiction("--only and --plan are about the table: add --table")
    if table and given:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise Contradiction(f"the table's cases are fixed: drop {names}, or drop --table")
    if runs is not None and runs < 1:
        raise Contradiction(f"{runs} runs measure nothing: --runs is at least 1")
    if plot is not None:
        _check_plot(plot, plan)
    if plan and only_json:
        raise Contradiction("--plan is a list for people: drop --json")
    return Arguments(
        scenario=Scenario(**common, **_sizes(given)),
        table=_names(only) if table else (),
        plan=plan,
        runs=runs or (3 if table else 1),
        plot=plot,
        json=only_json,
    )


def _sizes(given: dict[str, Any]) -> dict[str, Any]:
    """A scenario's fields, its layers' sizes in whole tar blocks."""
    size, layers, sizes = (given.pop(name, None) for name in ("size", "layers", "layer_sizes"))
    if sizes is not None and (size is not None or layers is not None):
        raise Contradiction("--layer-sizes says it all: drop --size and --layers")
    if layers is not None and layers < 1:
        raise Contradiction("an image needs at least one layer: raise --layers")
    if sizes is not None:
        try:
            mebibytes = [float(each) for each in sizes.split(",")]
        except ValueError:
            raise Contradiction(f"--layer-sizes {sizes}: numbers, comma-separated") from None
    else:
        mebibytes = [(64 if size is None else size) / (layers or 1)] * (layers or 1)
    blocks = [int(each * MIB) // TAR_BLOCK * TAR_BLOCK for each in mebibytes]
    return {**given, "sizes": tuple(blocks)}


def _names(only: str | None) -> tuple[str, ...]:
    names = tuple(CASES) if only is None else tuple(dict.fromkeys(only.split(",")))
    unknown = [name for name in names if name not in CASES]
    if unknown:
        raise Contradiction(f"no case is called {', '.join(unknown)}; there are {', '.join(CASES)}")
    return names


def _check_congestion_control(name: str) -> None:
    """Refuse what the hosts' routes would not take."""
    known = [CONGESTION_CONTROL, *CONGESTION_CONTROLS.read_text("ascii").split()]
    if name not in known:
        names = ", ".join(dict.fromkeys(known))
        raise Contradiction(f"--congestion-control {name}: this kernel has {names}")


def _check_plot(plot: Path, plan: bool) -> None:
    """Refuse before the measurement what would fail after it."""
    if plan:
        raise Contradiction("--plan measures nothing that could be plotted: drop --plot")
    if plot.suffix.lower() != ".png":
        raise Contradiction(f"--plot {plot}: the picture is a PNG, so name it so")
    if not plot.absolute().parent.is_dir():
        raise Contradiction(f"--plot {plot}: there is no directory {plot.absolute().parent}")
