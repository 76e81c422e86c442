"""How long a cluster is without a leader, a seeder, a tracker, its virtual address: nodes killed.

    python -m tests.bench.failover --rounds 10

Real nodes with elected roles, each in a network namespace; in each round one holder is killed with
SIGKILL while the others pull a blob at 40 Mbit/s. Measured until every survivor knows the new
holder, and of the pulls the longest time without a byte. The limit is what the protocol allows: a
leader's death is seen at once, by its connections, and a lease runs out before it is granted anew.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from eagle_node.consensus.timing import Timing
from tests.bench.report import Limit, Report, emit, parser
from tests.support import http
from tests.support.fleet import Fleet, fleet
from tests.support.node import Node
from tests.support.pulls import blob_url

KINDS = ("leader", "seeder", "tracker", "vip")
VIP = "10.77.0.100/16"
_POLL_S = 0.05
_GIVE_UP_S = 60.0

Document = Mapping[str, Any]


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--rounds", type=int, default=3, help="kills of each kind of holder")
    arguments.add_argument("--nodes", type=int, default=5)
    options = arguments.parse_args()
    started_s, taken = asyncio.run(_measure(options.nodes, options.rounds))
    timing = Timing()
    result: dict[str, Any] = {"usable_after_start_s": started_s}
    for kind, seconds in taken.items():
        result[f"{kind}_median_s"] = statistics.median(seconds)
        result[f"{kind}_worst_s"] = max(seconds)
    longest = max(value for name, value in result.items() if name.endswith("_median_s"))
    report = Report(
        bench="failover",
        parameters={"nodes": options.nodes, "rounds": options.rounds},
        limit=Limit(what="a lease that nobody renews", value=timing.lease_s, unit="s"),
        baseline={"lease_s": timing.lease_s, "election_min_s": timing.election_min_s},
        result=result,
        ratio=longest / timing.lease_s,
    )
    rows = [
        [kind, f"{statistics.median(seconds):.2f}", f"{max(seconds):.2f}"]
        for kind, seconds in taken.items()
    ]
    rows.append(["usable after the start", f"{started_s:.2f}", ""])
    emit(report, ["seconds to", "median", "worst"], rows, only_json=options.json)


async def _measure(count: int, rounds: int) -> tuple[float, dict[str, list[float]]]:
    """Seconds from the start to a usable cluster, then of each kind of failure, and stalls."""
    taken: dict[str, list[float]] = {kind: [] for kind in (*KINDS, "stall of a pull")}
    with tempfile.TemporaryDirectory(prefix="eagle-failover-") as directory:
        begun = time.monotonic()
        blobs = rounds * len(KINDS)
        async with fleet(Path(directory), count, "--vip", VIP, blobs=blobs) as nodes:
            await nodes.agreed()
            started_s = time.monotonic() - begun - nodes.prepared_s
            for number, digest in enumerate(nodes.blobs):
                kind = KINDS[number % len(KINDS)]
                seconds, stall_s = await _round(nodes, kind, digest)
                taken[kind].append(seconds)
                taken["stall of a pull"].append(stall_s)
    return started_s, taken


async def _round(nodes: Fleet, kind: str, digest: str) -> tuple[float, float]:
    """Kill a holder in the middle of a pull; seconds to the next holder, and the longest stall."""
    victim = await _holder(nodes, kind)
    lost = (await victim.status())["node"]["id"]
    others = [node for node in nodes.nodes.values() if node is not victim]
    pulls = [asyncio.create_task(_longest_gap(node, digest)) for node in others]
    await asyncio.sleep(1.0)
    begun = time.monotonic()
    await victim.kill()
    seconds = await _until_replaced(others, _FOUND[kind], lost, begun)
    stall_s = max(await asyncio.gather(*pulls))
    await victim.start()
    await nodes.agreed()
    return seconds, stall_s


async def _holder(nodes: Fleet, kind: str) -> Node:
    if kind == "leader":
        return await nodes.leader()
    if kind == "vip":
        await nodes.agreed()
        return await nodes.named(lambda each: _vip(each) == {each["node"]["id"]})
    return await nodes.holder(kind)


async def _until_replaced(
    others: Sequence[Node], found: Callable[[Document], set[str]], lost: str, begun: float
) -> float:
    while time.monotonic() - begun < _GIVE_UP_S:
        held = [found(await node.status()) for node in others]
        now = time.monotonic()
        if all(each and lost not in each and each == held[0] for each in held):
            return now - begun
        await asyncio.sleep(_POLL_S)
    raise TimeoutError(f"nobody took over within {_GIVE_UP_S:.0f} s")


def _vip(status: Document) -> set[str]:
    return {status["cluster"]["vip"]["holder"]} - {None}


def _role(role: str) -> Callable[[Document], set[str]]:
    def found(status: Document) -> set[str]:
        leases = [each for each in status["cluster"]["leases"] if each["name"].startswith(role)]
        return {each["holder"] for each in leases} - {None}

    return found


_FOUND: Mapping[str, Callable[[Document], set[str]]] = {
    "leader": lambda status: {status["cluster"]["leader"]} - {None},
    "seeder": _role("seeder"),
    "tracker": _role("tracker"),
    "vip": _vip,
}


async def _longest_gap(node: Node, digest: str) -> float:
    """Pull a blob; the longest time without a byte, in seconds."""
    last, longest = time.monotonic(), 0.0
    async with (
        http.client(namespace=node.namespace) as session,
        session.get(blob_url(node, digest)) as answer,
    ):
        answer.raise_for_status()
        async for _ in answer.content.iter_any():
            now = time.monotonic()
            last, longest = now, max(longest, now - last)
    return max(longest, time.monotonic() - last)


if __name__ == "__main__":
    main()
