"""Compare shapes of the trees: how long a wave takes, how deep it is, what the seeder sends."""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from eagle_node.tracker.plan import HOP_S, LEVEL_S, Shape
from tests.sim.plan_hosts import Host, Network, node
from tests.sim.plan_sim import simulate

_SHAPES = {
    "as planned": None,
    "chain": Shape(stripes=1, arity=1),
    "tree of two": Shape(stripes=1, arity=2),
    "2 stripes": Shape(stripes=2, arity=2),
    "3 stripes": Shape(stripes=3, arity=3),
    "4 stripes": Shape(stripes=4, arity=4),
}
_SIZE = 64 << 20
_RATE = 2_500_000


def fleet(
    count: int, *, zones: int = 1, within_s: float = 1.0, seed: int = 1, rate: int = _RATE
) -> list[Host]:
    """A seeder and ``count`` nodes that join at random times within ``within_s``.

    ``rate``: what all say of their links; 0: nothing.
    """
    chance = random.Random(seed)
    names = [f"z{number % zones}" if zones > 1 else "" for number in range(count + 1)]
    seeder = Host(info=node(0, zone=names[0], seeder=True, upload_rate=rate))
    joiners = [
        Host(
            info=node(number, zone=names[number], upload_rate=rate),
            joins=chance.uniform(0, within_s),
        )
        for number in range(1, count + 1)
    ]
    return [seeder, *joiners]


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(prog="plan_sim", description=__doc__)
    parser.add_argument("--compare", action="store_true", required=True)
    parser.add_argument("--nodes", type=int, nargs="*", default=[20, 40, 200, 1000])
    parser.add_argument("--hop-s", type=float, default=HOP_S)
    parser.add_argument("--level-s", type=float, default=LEVEL_S)
    options = parser.parse_args()
    network = Network(size=_SIZE, rate=_RATE, hop_s=options.hop_s, level_s=options.level_s)
    Console(width=100).print(compare(options.nodes, network))


def compare(counts: Sequence[int], network: Network) -> Table:
    """One row per shape: last / D, depth and seeder copies for each number of nodes."""
    title = f"last/D  depth  seeder copies; {network.hop_s} s a hop, {network.level_s} s a level"
    table = Table("shape", *(f"{count} nodes" for count in counts), title=title)
    for name, shape in _SHAPES.items():
        table.add_row(name, *(_cell(count, network, shape) for count in counts))
    return table


def _cell(count: int, network: Network, shape: Shape | None) -> str:
    outcome = simulate(fleet(count), network, limit_s=5 * network.direct_s, shape=shape)
    ended = len(outcome.finished) == count
    last = f"{outcome.last_s / network.direct_s:.3f}" if ended else "> 5"
    return f"{last}  {outcome.depth}  {outcome.seeder_copies:.2f}"
