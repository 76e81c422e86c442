"""The cold wave: N nodes pull the same image at once, against one direct download.

    python -m tests.bench.wave --nodes 20 --rate 20 --size 64
    python -m tests.bench.wave --nodes 16 --zones 2 --border 10 --plot curves.png

The limit is one direct download on the idle rig, measured in the same run; nobody can be quicker
than that on links of the same rate.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.wave_rig import LINK_OVERHEAD, MBIT, MIB, Outcome, Scenario, rig


def main() -> None:
    """Run the waves that the command line asks for; tables, then one JSON object."""
    arguments = _parser().parse_args()
    scenario = _scenario(arguments)
    outcomes = [asyncio.run(_once(scenario)) for _ in range(arguments.runs)]
    outcome = sorted(outcomes, key=lambda each: each.last_s / each.direct_s)[len(outcomes) // 2]
    if not arguments.json:
        Console().print(_table(scenario, outcome))
    if arguments.plot:
        from tests.bench.wave_plot import plot

        plot(scenario, outcome, arguments.plot)
    print(json.dumps(_report(scenario, outcome, outcomes)))


async def _once(scenario: Scenario) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="eagle-wave-") as directory:
        async with rig(scenario, Path(directory)) as wave:
            return await wave.run()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    add = parser.add_argument
    add("--nodes", type=int, default=20)
    add("--rate", type=float, default=20, help="Mbit/s of every node's link, each way")
    add("--origin-rate", type=float, help="Mbit/s of the origin's link (default: --rate)")
    add("--size", type=float, default=64, help="MiB of all layers together")
    add("--layers", type=int, default=1, help="equal layers that are pulled at once")
    add("--layer-sizes", help="MiB of each layer, comma-separated, instead of --size and --layers")
    add("--zones", type=int, default=1)
    add("--border", type=float, help="Mbit/s of each zone's uplink")
    add("--spread", type=float, default=0, help="seconds over which nodes arrive")
    add("--late", type=float, default=0, help="share of nodes that arrive after half the wave")
    add("--slow", type=float, default=0, help="share of nodes at a quarter of the rate")
    add("--killed", type=float, default=0, help="share of nodes killed on the way")
    add("--kill-seeder", action="store_true")
    add("--kill-tracker", action="store_true")
    add("--freeze", action="store_true", help="stop one node on the way")
    add("--warm", action="store_true", help="the first node holds the layers already")
    add("--flag", action="append", default=[], help="a further flag for every node (repeatable)")
    add("--runs", type=int, default=1, help="the median run is reported")
    add("--plot", type=Path, help="completion curves of all nodes, PNG")
    add("--json", action="store_true", help="only the JSON object")
    return parser


def _scenario(arguments: argparse.Namespace) -> Scenario:
    if arguments.layer_sizes:
        sizes = tuple(int(float(size) * MIB) for size in arguments.layer_sizes.split(","))
    else:
        sizes = (int(arguments.size * MIB) // arguments.layers,) * arguments.layers
    return Scenario(
        nodes=arguments.nodes,
        rate=arguments.rate,
        origin_rate=arguments.origin_rate,
        sizes=sizes,
        zones=arguments.zones,
        border=arguments.border,
        spread=arguments.spread,
        late=arguments.late,
        slow=arguments.slow,
        killed=arguments.killed,
        kill_seeder=arguments.kill_seeder,
        kill_tracker=arguments.kill_tracker,
        freeze=arguments.freeze,
        warm=arguments.warm,
        flags=tuple(arguments.flag),
    )


def _table(scenario: Scenario, outcome: Outcome) -> Table:
    title = f"{scenario.nodes} nodes, {scenario.rate:g} Mbit/s, {scenario.size / MIB:g} MiB"
    table = Table(title=f"{title} in {len(scenario.sizes)} layer(s)")
    for column in ("node", "started s", "finished s", "took s", "/ direct", ""):
        table.add_column(column, justify="left" if column in ("node", "") else "right")
    for pull in outcome.pulls:
        if pull.finished is None:
            table.add_row(pull.node, f"{pull.started:.2f}", "-", "-", "-", pull.error or "warm")
            continue
        took = pull.finished - pull.started
        table.add_row(
            pull.node,
            f"{pull.started:.2f}",
            f"{pull.finished:.2f}",
            f"{took:.2f}",
            f"{took / outcome.direct_s:.3f}",
            "killed" if pull.dead else "",
        )
    return table


def _report(scenario: Scenario, outcome: Outcome, outcomes: list[Outcome]) -> dict[str, Any]:
    ideal = scenario.size * 8 / (scenario.rate * MBIT)
    took = outcome.finished
    gigabytes = scenario.size * max(1, len(took)) / 1e9
    from_origin = (
        scenario.size * scenario.nodes * 8 / ((scenario.origin_rate or scenario.rate) * MBIT)
    )
    return {
        "bench": "wave",
        "parameters": {
            "nodes": scenario.nodes,
            "rate_mbit": scenario.rate,
            "origin_rate_mbit": scenario.origin_rate or scenario.rate,
            "layer_bytes": list(scenario.sizes),
            "zones": scenario.zones,
            "border_mbit": scenario.border,
            "runs": len(outcomes),
        },
        "limit": {
            "what": "one direct download on the idle rig",
            "value": round(outcome.direct_s, 3),
            "unit": "s",
        },
        "baseline": {
            "what": "every node straight from the origin (computed from its link's rate)",
            "last_s": round(from_origin * LINK_OVERHEAD, 1),
        },
        "result": {
            "last_s": round(outcome.last_s, 3),
            "median_s": round(statistics.median(took), 3) if took else None,
            "p99_s": round(took[min(len(took) - 1, int(len(took) * 0.99))], 3) if took else None,
            "median_ratio": round(statistics.median(took) / outcome.direct_s, 4) if took else None,
            "last_to_size_over_rate": round(outcome.last_s / ideal, 4),
            "origin_copies": round(outcome.origin_copies, 4),
            "origin_requests": outcome.origin_requests,
            "seeder_copies": round(outcome.seeder_copies, 4),
            "zone_copies": {zone: round(x, 4) for zone, x in outcome.zone_copies.items()},
            "failed": outcome.failed,
            "peak_rss_mib": round(outcome.peak_rss_mib, 1),
            "cpu_s_per_gb": round(outcome.cpu_s / gigabytes, 2),
            "ratios_of_all_runs": [round(each.last_s / each.direct_s, 4) for each in outcomes],
        },
        "ratio": round(outcome.last_s / outcome.direct_s, 4),
    }


if __name__ == "__main__":
    main()
