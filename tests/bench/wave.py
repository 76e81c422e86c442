"""The cold wave: N nodes pull the same image at once, against one direct download.

    python -m tests.bench.wave --nodes 20 --rate 20 --size 64
    python -m tests.bench.wave --nodes 16 --zones 2 --border 10 --plot curves.png
    python -m tests.bench.wave --nodes 6 --rate 50 --runtime containerd
    python -m tests.bench.wave --table --only cold-20,zones --runs 3

The limit is one direct download on the idle rig by the same client, measured in the same run;
nobody can be quicker than that on links of the same rate.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from rich.console import Console

from tests.bench import interrupts
from tests.bench.wave_arguments import Arguments, parse
from tests.bench.wave_plot import plot
from tests.bench.wave_report import median_run, pulls_table, title, wave_report
from tests.bench.wave_rig import rig
from tests.bench.wave_scenario import Outcome, Scenario
from tests.bench.wave_table import Measured, cases_table, measure, plan_table, table_report


def main() -> None:
    """Measure what the command line asks for; tables, then one JSON object.

    The exit status is 0 whether or not bars are met: it is a measurement, and says what it found.
    """
    arguments = parse(None, (__doc__ or "").partition("\n")[0])
    if arguments.plan:
        Console().print(plan_table(arguments.table, arguments.runs))
    elif arguments.table:
        _tell_table(arguments, interrupts.run(_all_cases(arguments)))
    else:
        _tell_wave(arguments, interrupts.run(_all_runs(arguments)))


async def _all_runs(arguments: Arguments) -> list[Outcome]:
    return [await _once(arguments.scenario) for _ in range(arguments.runs)]


async def _all_cases(arguments: Arguments) -> dict[str, Measured]:
    return {
        name: await measure(name, arguments.scenario, arguments.runs, _once)
        for name in arguments.table
    }


async def _once(scenario: Scenario) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="eagle-wave-") as directory:
        async with rig(scenario, Path(directory)) as wave:
            return await wave.run()


def _tell_wave(arguments: Arguments, outcomes: list[Outcome]) -> None:
    scenario, outcome = arguments.scenario, median_run(outcomes)
    if not arguments.json:
        Console().print(pulls_table(scenario, outcome))
    if arguments.plot:
        plot({title(scenario): (scenario, outcome)}, arguments.plot)
    print(wave_report(scenario, outcomes).to_json())


def _tell_table(arguments: Arguments, cases: dict[str, Measured]) -> None:
    if not arguments.json:
        Console().print(cases_table(cases))
    if arguments.plot:
        waves = {
            f"{name}: {each.case.what}": (each.scenario, median_run(each.outcomes))
            for name, each in cases.items()
            if each.outcomes
        }
        plot(waves, arguments.plot)
    print(table_report(cases, arguments.scenario, arguments.runs).to_json())


if __name__ == "__main__":
    main()
