"""Real clients whose node loses its registry in the middle of a layer."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

from tests.integration.content.documents import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, descriptor
from tests.support.clients.containerd import containerd
from tests.support.clients.route import Route
from tests.support.faults import Fault, link
from tests.support.node import eagle_node
from tests.support.origin import NAME, Behaviour, scripted_origin
from tests.support.waiting import until

MIB = 1 << 20
SIZE = 6 * MIB


async def test_containerd_goes_on_at_the_registry_where_the_node_broke_off(tmp_path: Path) -> None:
    """The node ends the connection short of its length, and then has only errors for it: containerd
    asks the next host for the rest, by Range."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        origin = await enter(scripted_origin())
        config = b"{}"
        layer = origin.add_random(SIZE, seed=5)
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(OCI_CONFIG, config),
            "layers": [descriptor(OCI_LAYER, origin.content(layer))],
        }
        origin.add(config)
        body = json.dumps(document).encode()
        origin.add_manifest(origin.add_manifest("latest", body), body)
        origin.always(layer, Behaviour(rate=MIB // 2))
        way = await enter(link(int(origin.url.rpartition(":")[2])))
        node = await enter(
            eagle_node(
                tmp_path / "node", "--registry", f"{NAME}={way.url}", "--origin-retries", "1"
            )
        )
        route = Route(
            name=NAME, mirror=node.proxy_address, origin=origin.url.removeprefix("http://")
        )
        client = await enter(containerd(tmp_path / "containerd", route))
        fetching = asyncio.create_task(client.fetch(f"{NAME}/team/app:latest"))

        async def has_begun() -> bool:
            return client.received() > MIB

        await until(has_begun, what="the first MiB")
        origin.always(layer, Behaviour())
        await way.set(Fault.DOWN)
        await fetching
        assert layer in client.stored()
        [rest] = [
            each
            for each in origin.requests
            if each.method == "GET" and layer in each.path and f"ns={NAME}" in each.path
        ]
        assert rest.first >= MIB
        assert rest.sent == SIZE - rest.first
