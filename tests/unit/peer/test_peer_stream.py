"""What a node takes from a seeder's word."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from eagle_node.base.digest import digest_of
from eagle_node.blobs.segments import LAYOUT_VERSION
from eagle_node.metainfo.client import MetaInfoClient
from eagle_node.metainfo.messages import FetchReply, InlineEvent, LayoutEvent
from eagle_node.peer.means import Job, Means
from eagle_node.peer.stream import MetainfoStream
from eagle_node.peer.succession import Line, Succession
from eagle_node.registry.access import Access, AccessMemory
from eagle_node.registry.names import BlobRef, Repository
from eagle_node.seeder.rights import remember_once_opened
from eagle_node.swarm.transfer import Transfer
from tests.integration.seeder.clients import RIGHT, Checker
from tests.integration.swarm.rig import rig
from tests.unit.metainfo.examples import Handler, serving

DATA = b"a small blob"
BLOB = BlobRef(Repository("registry.test", "team/app"), digest_of(DATA))
TTL_S, TOLD_S = 3600.0, 3000.0


@pytest.mark.parametrize(
    "reply",
    [
        LayoutEvent(size=1 << 20, version=LAYOUT_VERSION, age_ms=int(TOLD_S * 1000)),
        InlineEvent(data=DATA, age_ms=int(TOLD_S * 1000)),
    ],
    ids=["layout", "inline"],
)
async def test_a_right_that_a_seeder_tells_of_is_as_old_as_it_was_there(
    tmp_path: Path, reply: FetchReply
) -> None:
    """So it ends here when it ends there: the fetch proves what the registry said then."""
    access = Access(Checker(), AccessMemory(TTL_S, 0.0, TTL_S))
    async with (
        rig(tmp_path) as node,
        serving(Handler(reply)) as seeder,
        MetaInfoClient(lambda: [seeder]) as client,
    ):
        me = SimpleNamespace(node_id="0" * 32)
        means: Any = SimpleNamespace(metainfo=client, node=lambda: me, metrics=node.metrics)
        job = Job(
            means=cast(Means, means),
            blob=BLOB,
            line=Line(lambda: Succession(before=(seeder,), own_turn=False), elected=False),
            shown=lambda _: RIGHT,
            parts=cast(Any, None),
        )

        async def read(transfer: Transfer) -> None:
            stream = MetainfoStream(job, transfer, lambda _: None, on_seeder=lambda *_: None)
            await stream.read(0)

        transfer = await node.transfers.start(BLOB.digest, read, whole=True)
        assert transfer is not None
        remember_once_opened(access, transfer, BLOB, RIGHT)
        await transfer.wait_opened()
        grant = await access.check(BLOB, RIGHT)
    assert TOLD_S <= grant.age_s < TOLD_S + 60
