"""Random stories of a small cluster, one for each seed.

python -m tests.sim.membership_sim SEED       tells the story of a seed
python -m tests.sim.membership_sim FROM TO    runs many, tells the first that fails
"""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from functools import partial

from eagle_node.membership.events import Gone
from eagle_node.membership.timings import Timings
from tests.sim.membership_net import Host, Net, Weather

_TROUBLE_S = 8.0
"""How long things go wrong."""
_SETTLE_S = 60.0
"""Within which all that still run agree, once nothing goes wrong any more."""


class StoryFailed(AssertionError):
    """A seed broke a promise; the text is its story and how to see it again."""


def play(seed: int, *, tell: bool = False) -> Net:
    """Play a seed's story; `StoryFailed` when it does not end as it should."""
    chance = random.Random(f"story {seed}")
    timings = replace(Timings(), contact_interval_s=4.0, exchange_interval_s=6.0)
    net = Net(seed, timings=timings)
    try:
        mild = chance.random() < 0.4
        _begin(net, chance, mild=mild)
        net.weather.refusals = seed % 2 == 1
        _trouble(net, chance, mild=mild)
        net.heal()
        net.weather = Weather(encode=net.weather.encode)
        assert net.run(_SETTLE_S, until=net.converged), "no agreement"
        if mild:
            _assert_nobody_was_buried(net)
    except AssertionError as error:
        net.say(f"FAILS: {error}")
        again = f"python -m tests.sim.membership_sim {seed}"
        raise StoryFailed("\n".join([f"seed {seed}", *net.story, again])) from error
    if tell:
        print("\n".join(net.story))
    return net


def _begin(net: Net, chance: random.Random, *, mild: bool) -> None:
    net.weather = Weather(
        loss=chance.choice((0.0, 0.02, 0.05) if mild else (0.0, 0.05, 0.2, 0.4)),
        doubling=chance.choice((0.0, 0.1)),
        delay_s=(0.0005, chance.choice((0.001, 0.05, 0.15) if mild else (0.001, 0.05, 0.4))),
        replay=chance.choice((0.0, 0.1)),
        encode=chance.random() < 0.1,
    )
    hosts = [net.add() for _ in range(chance.randint(2, 5))]
    first = chance.choice(hosts)
    net.start(first)
    for host in hosts:
        if host is not first:
            others = [each for each in hosts if each is not host]
            joins = {first.number: first, **{each.number: each for each in others[:1]}}
            net.after(chance.uniform(0, 1.0), partial(net.start, host, [*joins.values()]))


def _trouble(net: Net, chance: random.Random, *, mild: bool) -> None:
    net.run(1.2)
    end = net.now + _TROUBLE_S
    for _ in range(chance.randint(1, 5)):
        net.run(chance.uniform(0, (end - net.now) / 2))
        _happen(net, chance, chance.choice(net.hosts), mild=mild)
    net.run(chance.uniform(0, max(0.0, end - net.now)))
    for host in net.hosts:
        if host.machine is None and chance.random() < 0.5:
            _restart(net, chance, host)
    if all(host.machine is None for host in net.hosts):
        _restart(net, chance, net.hosts[0])


def _happen(net: Net, chance: random.Random, host: Host, *, mild: bool) -> None:
    if host.machine is None:
        _restart(net, chance, host)
        return
    if host.running.own.state != 0:
        return
    what = chance.choice(
        ("stall", "describe", "restart")
        if mild
        else ("crash", "leave", "stall", "describe", "part", "heal", "restart")
    )
    match what:
        case "crash":
            net.crash(host)
        case "restart":
            net.crash(host)
            _restart(net, chance, host)
        case "leave":
            if not host.frozen:
                net.leave(host)
        case "stall":
            net.freeze(host, chance.uniform(0.3, 2.0 if mild else 12.0))
        case "describe":
            meta = replace(host.running.own.meta, zone=f"z{chance.randint(0, 99)}")
            net.describe(host, meta)
        case "part":
            some = chance.sample(net.hosts, chance.randint(1, len(net.hosts) - 1))
            others = [each for each in net.hosts if each not in some]
            net.part(some, others, one_way=chance.random() < 0.4)
        case _:
            net.heal()


def _restart(net: Net, chance: random.Random, host: Host) -> None:
    """At the same address, with the addresses of all others to join at."""
    others = [each for each in net.hosts if each is not host]
    net.start(host, others, counted=chance.random() < 0.5)


def _assert_nobody_was_buried(net: Net) -> None:
    for host in net.hosts:
        for at, change in host.changes:
            assert not isinstance(change, Gone), f"{host.number} buried the living at {at:.3f}"


def main() -> None:
    """Play one seed aloud, or many."""
    seeds = [int(text) for text in sys.argv[1:]]
    if len(seeds) == 2:
        for seed in range(*seeds):
            play(seed)
        print(f"{seeds[1] - seeds[0]} stories ended well")
        return
    play(seeds[0], tell=True)


if __name__ == "__main__":
    try:
        main()
    except StoryFailed as failed:
        sys.exit(str(failed))
