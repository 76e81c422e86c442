"""A process that looks for its cluster by mDNS and prints what it knows at each change.

python -m tests.integration.discovery.seeker NODE_ID CLUSTER ADDRESS
"""

from __future__ import annotations

import asyncio
import signal
import sys

from eagle_node.base.ids import NodeId
from eagle_node.config.places import MdnsTarget
from eagle_node.discovery.mdns import MdnsIdentity
from eagle_node.discovery.own import own_addresses
from eagle_node.discovery.service import Discovery
from eagle_node.runtime.sockets import Address

POLL_S = 0.05


async def _seek(node_id: str, cluster: str, host: str) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    address = Address(host, 7946)
    identity = MdnsIdentity(
        node_id=NodeId(node_id), cluster=cluster, address=address, version="1.0"
    )
    is_own = own_addresses("0.0.0.0", address.port)
    async with Discovery([MdnsTarget()], is_own=is_own, identity=identity) as discovery:
        shown = None
        while not stopped.is_set():
            known = " ".join(sorted(map(str, discovery.addresses())))
            if known != shown:
                print(f"knows: {known}", flush=True)
                shown = known
            await asyncio.sleep(POLL_S)


if __name__ == "__main__":
    asyncio.run(_seek(*sys.argv[1:4]))
