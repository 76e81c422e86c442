"""One member as a process, for `tests.bench.gossip`: tells what it sees, on standard output.

    python -m tests.bench.gossip_member NUMBER HOST PORT JOIN [--burn]

Each line is a JSON object with ``at``, the monotonic time: a change of the view, or once a
second what was sent, received and computed so far. With ``--burn`` a thread computes all the time.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time

from eagle_node.base.ids import NodeId
from eagle_node.membership.events import Change, Gone, Joined
from eagle_node.membership.meta import Meta
from eagle_node.membership.service import Membership
from eagle_node.metrics.instruments import Metrics, total
from eagle_node.runtime.sockets import Address
from eagle_node.trust.key import ClusterKey

META = Meta(
    roles=("peer", "proxy", "seeder"),
    ports=(
        ("api", 43003),
        ("metainfo", 55008),
        ("raft", 7947),
        ("ssl", 61008),
        ("swarm", 61007),
        ("tracker", 6969),
    ),
    zone="eu-central-1a",
    rack="rack-17",
    version="1.0.0",
)
"""As large as a real node's."""


def main() -> None:
    """Run until killed."""
    number, host, port, join = sys.argv[1:5]
    if "--burn" in sys.argv:
        threading.Thread(target=_burn, daemon=True).start()
    asyncio.run(_run(int(number), Address(host, int(port)), Address(join, int(port))))


async def _run(number: int, listen: Address, join: Address) -> None:
    metrics = Metrics()
    async with Membership(
        node_id=NodeId(f"{number:032x}"),
        host=listen.host,
        listen=listen,
        meta=META,
        cluster="bench",
        keys=ClusterKey(primary=bytes(32)),
        metrics=metrics,
        incarnation=1 << 32,
    ) as membership:
        membership.on_change.append(_told)
        membership.join([join])
        while True:
            _print(
                what="sum",
                bytes=total(metrics.gossip_bytes),
                cpu=time.process_time(),
                members=len(membership.members()),
            )
            await asyncio.sleep(1.0)


def _told(change: Change) -> None:
    if isinstance(change, Joined | Gone):
        _print(what=type(change).__name__, node=int(change.member.node_id, 16))


def _print(**values: object) -> None:
    print(json.dumps({"at": time.monotonic(), **values}), flush=True)


def _burn() -> None:
    number = 1
    while True:
        number = number * 1_103_515_245 % (1 << 61)


if __name__ == "__main__":
    main()
