"""The acceptance table: named cases, several runs each, medians against their bars."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
from rich.table import Table

from tests.bench.report import Limit, Report
from tests.bench.wave_cases import CASES, ELSEWHERE, Case
from tests.bench.wave_clients import PullFailed
from tests.bench.wave_judges import Figure, judge
from tests.bench.wave_report import LINK_OVERHEAD, median_run, parameters, result
from tests.bench.wave_scenario import MBIT, SLOWNESS, Outcome, Scenario

BROKEN = (AssertionError, ExceptionGroup, OSError, aiohttp.ClientError, PullFailed)
"""What a run that the rig could not carry out raises (`tests.support` fails with assertions)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One bar of a case."""

    figure: Figure
    bar: float
    values: Sequence[float | None]
    """By run."""
    failed: bool
    """A node of some run did not get the image, or a run broke."""

    @property
    def median(self) -> float | None:
        """None when a run could not tell."""
        known = [value for value in self.values if value is not None]
        return statistics.median(known) if known and len(known) == len(self.values) else None

    @property
    def is_met(self) -> bool:
        """Whether the median is at the bar or below, and nobody failed."""
        return not self.failed and self.median is not None and self.median <= self.bar


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """All runs of a case."""

    case: Case
    scenario: Scenario
    """The case's, with the table's clients and flags."""
    outcomes: Sequence[Outcome]
    broken: Sequence[str]
    """Why runs came to nothing."""

    @property
    def failed(self) -> int:
        """Nodes, of all runs, that did not get the image."""
        return sum(outcome.failed for outcome in self.outcomes)

    @property
    def verdicts(self) -> list[Verdict]:
        """One per bar, in the case's order."""
        return [
            Verdict(
                figure=figure,
                bar=bar,
                values=[judge(figure, self.scenario, outcome) for outcome in self.outcomes],
                failed=bool(self.failed or self.broken),
            )
            for figure, bar in self.case.bars.items()
        ]


async def measure(name: str, common: Scenario, runs: int, once: Once) -> Measured:
    """Run a case several times; a run that the rig could not carry out is written down.

    ``common`` says what all cases share: clients, congestion control, flags.
    """
    case = CASES[name]
    scenario = replace(
        case.scenario,
        runtime=common.runtime,
        congestion_control=common.congestion_control,
        flags=common.flags,
    )
    outcomes, broken = [], []
    for number in range(1, runs + 1):
        try:
            outcome = await once(scenario)
        except BROKEN as error:
            broken.append(_words(error))
            print(f"{name} {number}/{runs}: {broken[-1]}", file=sys.stderr, flush=True)
            continue
        outcomes.append(outcome)
        ratio = outcome.last_s / outcome.direct_s
        line = f"D {outcome.direct_s:.2f} s, last / D {ratio:.3f}, failed {outcome.failed}"
        print(f"{name} {number}/{runs}: {line}", file=sys.stderr, flush=True)
    return Measured(case=case, scenario=scenario, outcomes=outcomes, broken=broken)


Once = Callable[[Scenario], Awaitable[Outcome]]
"""One wave on a fresh rig."""


def plan_table(names: Sequence[str], runs: int) -> Table:
    """What `measure` would do, and about how long it takes."""
    minutes = {name: runs * _seconds(CASES[name].scenario) / 60 for name in names}
    total = sum(minutes.values())
    table = Table(
        title=f"{len(names)} cases x {runs} run(s), about {total:.0f} minutes", caption=ELSEWHERE
    )
    for column in ("name", "case", "bars (median of the runs at most)", "minutes"):
        table.add_column(column, justify="right" if column == "minutes" else "left")
    for name in names:
        bars = "\n".join(f"{figure.value}: {bar:g}" for figure, bar in CASES[name].bars.items())
        table.add_row(name, CASES[name].what, bars, f"{minutes[name]:.0f}")
    return table


def cases_table(cases: Mapping[str, Measured]) -> Table:
    """A row per bar: the case, the bar, the median, all runs, the verdict."""
    missed, bars = len(_missed(cases)), sum(len(each.verdicts) for each in cases.values())
    outcome = f"{missed} of {bars} bars MISSED" if missed else f"all {bars} bars met"
    table = Table(title=f"the cold wave: {outcome}", caption="D: one direct download, same run")
    for column in ("case", "bar", "at most", "median", "all runs", "verdict"):
        right = column in ("at most", "median", "all runs")
        table.add_column(column, justify="right" if right else "left")
    for name, measured in cases.items():
        for number, verdict in enumerate(measured.verdicts):
            words = "met" if verdict.is_met else "[red]MISSED[/]"
            if measured.failed:
                words += f", {measured.failed} node(s) failed"
            if measured.broken:
                words += f", {len(measured.broken)} run(s) broke: {measured.broken[0]}"
            table.add_row(
                "" if number else name,
                verdict.figure.value,
                f"{verdict.bar:g}",
                _number(verdict.median),
                " ".join(_number(value) for value in verdict.values),
                words,
            )
        table.add_section()
    return table


def table_report(cases: Mapping[str, Measured], common: Scenario, runs: int) -> Report:
    """All cases; the ratio is the worst one's, median to bar."""
    verdicts = [verdict for each in cases.values() for verdict in each.verdicts]
    ratios = [each.median / each.bar for each in verdicts if each.median is not None and each.bar]
    return Report(
        bench="wave",
        parameters={
            "table": True,
            "runtime": common.runtime,
            "congestion_control": common.congestion_control,
            "runs": runs,
            "cases": list(cases),
        },
        limit=Limit(what="bars of the acceptance table", value=len(verdicts), unit="bars"),
        baseline={
            "what": "one direct download by the same client in the same run, s",
            "direct_s": {name: [o.direct_s for o in m.outcomes] for name, m in cases.items()},
        },
        result={
            "cases": {name: _case_result(measured) for name, measured in cases.items()},
            "met": sum(verdict.is_met for verdict in verdicts),
            "missed": _missed(cases),
        },
        ratio=max(ratios, default=0.0),
    )


def _case_result(measured: Measured) -> dict[str, Any]:
    outcomes = measured.outcomes
    return {
        "what": measured.case.what,
        "parameters": parameters(measured.scenario),
        "bars": [
            {
                "figure": verdict.figure.value,
                "bar": verdict.bar,
                "median": verdict.median,
                "runs": list(verdict.values),
                "met": verdict.is_met,
            }
            for verdict in measured.verdicts
        ],
        "failed": measured.failed,
        "broken": list(measured.broken),
        "median_run": result(measured.scenario, median_run(outcomes)) if outcomes else None,
    }


def _missed(cases: Mapping[str, Measured]) -> list[str]:
    return [
        f"{name}: {verdict.figure.value}"
        for name, measured in cases.items()
        for verdict in measured.verdicts
        if not verdict.is_met
    ]


def _seconds(scenario: Scenario) -> float:
    """About how long a run takes: start-up, the direct download, the wave."""
    slowest = min(scenario.rate, scenario.origin_rate or scenario.rate)
    slowest = min(slowest, scenario.border or slowest)
    direct = scenario.size * 8 * LINK_OVERHEAD / (slowest * MBIT)
    wave = (
        direct * (SLOWNESS if scenario.slow else 1.2)
        + scenario.spread
        + direct * bool(scenario.late)
    )
    return 10 + 0.6 * scenario.nodes + direct + wave


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if abs(value) < 10 else f"{value:.0f}"


def _words(error: BaseException) -> str:
    """The first line of an error, or of the first one in a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
