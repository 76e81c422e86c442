"""What membership costs, and how fast news travels: 5 and 20 real nodes, 1,000 simulated.

    python -m tests.bench.gossip --seconds 15

Real nodes are processes in network namespaces, with a cluster key. The limit is what a node must
send for the probes alone: a ping and an ack each way, twice a second. ``--burn`` adds a thread that
computes all the time to each of them and counts the deaths of nodes that live.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from eagle_node.base.ids import NodeId
from eagle_node.membership.events import ContactsSet, ExchangeArrived, Joined
from eagle_node.membership.seal import OVERHEAD
from eagle_node.membership.timings import Timings
from eagle_node.membership.wire import Ack, Exchange, Ping, message_size
from tests.bench.gossip_member import META
from tests.bench.report import Limit, Report, emit, parser
from tests.sim.membership_net import Net
from tests.support.netns import Host, network
from tests.support.process import Process, running
from tests.support.waiting import until

_PORT = 7946


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--seconds", type=float, default=15.0, help="how long to watch each")
    arguments.add_argument("--nodes", type=int, nargs="*", default=[5, 20], help="real ones")
    arguments.add_argument("--simulated", type=int, default=1000, help="simulated ones; 0: none")
    arguments.add_argument("--burn", action="store_true", help="load the machine meanwhile")
    options = arguments.parse_args()
    result: dict[str, Any] = {}
    for count in options.nodes:
        measured = asyncio.run(_measure(count, options.seconds, burn=options.burn))
        result |= {f"{name}_{count}": value for name, value in measured.items()}
    if options.simulated:
        measured = _simulate(options.simulated, options.seconds)
        result |= {f"{name}_{options.simulated}": value for name, value in measured.items()}
    _report(options.seconds, result, burn=options.burn, only_json=options.json)


def _report(seconds: float, result: Mapping[str, Any], *, burn: bool, only_json: bool) -> None:
    probe = message_size(Ping(0, NodeId(""))) + message_size(Ack(0)) + 2 * OVERHEAD
    floor = 2 * probe / Timings().probe_interval_s
    costs = [value for name, value in result.items() if name.startswith("bytes_per_s")]
    report = Report(
        bench="gossip",
        parameters={"seconds": seconds, "burn": burn},
        limit=Limit(what="probes alone, sent and received", value=floor, unit="bytes/s"),
        baseline={"bytes_per_s": floor},
        result=result,
        ratio=max(costs) / floor,
    )
    rows = [[name, f"{value:.3f}"] for name, value in result.items()]
    emit(report, ["", ""], rows, only_json=only_json)


async def _measure(count: int, seconds: float, *, burn: bool) -> dict[str, float]:
    """Real nodes: their cost at rest, the time of a join, the time to find one dead."""
    names = [f"n{number}" for number in range(count + 1)]
    with tempfile.TemporaryDirectory(prefix="eagle-gossip-") as directory:
        async with network(names) as net, AsyncExitStack() as stack:
            nodes = [
                await stack.enter_async_context(_node(host, number, net.hosts[0], directory, burn))
                for number, host in enumerate(net.hosts[:count])
            ]
            await _until_members(nodes, count)
            before = [_sums(node)[-1] for node in nodes]
            await asyncio.sleep(seconds)
            after = [_sums(node)[-1] for node in nodes]
            false_deaths = sum(len(_changes(node, "Gone")) for node in nodes)
            last = _node(net.hosts[count], count, net.hosts[0], directory, burn=False)
            async with last as newcomer:
                await _until_members([*nodes, newcomer], count + 1)
                joined = [_changes(node, "Joined", count)[-1] for node in nodes]
                all_seen = [row["at"] for row in _lines(newcomer) if row["what"] == "Joined"]
                started = _lines(newcomer)[0]["at"]
                killed = time.monotonic()
                await newcomer.kill()
            await _until_members(nodes, count)
            gone = [_changes(node, "Gone", count)[-1] for node in nodes]
    rates = [
        (b["bytes"] - a["bytes"]) / (b["at"] - a["at"]) for a, b in zip(before, after, strict=True)
    ]
    shares = [
        (b["cpu"] - a["cpu"]) / (b["at"] - a["at"]) for a, b in zip(before, after, strict=True)
    ]
    return {
        "bytes_per_s": statistics.mean(rates),
        "cpu_percent": 100 * statistics.mean(shares),
        "join_s": max(*joined, *all_seen) - started,
        "dead_s": max(gone) - killed,
        "false_deaths": false_deaths,
    }


def _node(host: Host, number: int, first: Host, directory: str, burn: bool) -> Any:
    argv = [sys.executable, "-m", "tests.bench.gossip_member", str(number + 1), host.address]
    argv += [str(_PORT), first.address, *(["--burn"] if burn else [])]
    return running(argv, log=Path(directory) / f"{number}.log", namespace=host.namespace)


async def _until_members(nodes: Sequence[Process], count: int) -> None:
    async def all_see() -> bool:
        return all(sums and sums[-1]["members"] == count for sums in map(_sums, nodes))

    await until(all_see, what=f"{count} members in every view", timeout=60, interval=0.2)


def _lines(node: Process) -> list[dict[str, Any]]:
    return [json.loads(line) for line in node.log().splitlines() if line.startswith("{")]


def _sums(node: Process) -> list[dict[str, Any]]:
    return [row for row in _lines(node) if row["what"] == "sum"]


def _changes(node: Process, what: str, number: int | None = None) -> list[float]:
    """When a node saw others, or one of them, come or go."""
    rows = [row for row in _lines(node) if row["what"] == what]
    return [row["at"] for row in rows if number is None or row["node"] == number + 1]


def _simulate(count: int, seconds: float) -> dict[str, float]:
    """Many machines in virtual time: packets without UDP and IP headers, and seals added."""
    net = Net(1, checked=False)
    hosts = [net.add() for _ in range(count)]
    for host in hosts:
        net.start(host, meta=META)
    members = tuple(host.running.own for host in hosts)
    for host, teller in zip(hosts, [hosts[-1], *hosts], strict=False):
        told = Exchange(teller.node_id, 0, members)
        net.step(host, ExchangeArrived(told, None))
        net.step(host, ContactsSet(frozenset()))
    net.run(Timings().exchange_interval_s)  # the first push-pulls of nodes that start together
    net.measure, net.sent = True, 0
    started = time.process_time()
    net.run(seconds)
    cpu_s = time.process_time() - started
    net.measure = False
    sent = (net.sent_bytes + net.sent * OVERHEAD) / seconds / count
    for host in hosts:
        host.changes.clear()
    newcomer, began = net.add(), net.now
    net.start(newcomer, hosts[:1], meta=META)
    net.run(10, until=lambda: all(host.changes for host in hosts))
    joined = [at for host in hosts for at, change in host.changes if isinstance(change, Joined)]
    assert len(joined) == count
    return {
        "bytes_per_s": 2 * sent,
        "cpu_percent": 100 * cpu_s / seconds / count,
        "join_s": max(joined) - began,
    }


if __name__ == "__main__":
    main()
