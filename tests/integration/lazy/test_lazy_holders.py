"""Ranges of a blob that other nodes have: from them, verified, and hardly from the seeder."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from eagle_node.base.digest import Digest
from eagle_node.base.ids import NodeId
from eagle_node.blobs.demand import BLOCK
from eagle_node.metainfo.hash_messages import HASH
from eagle_node.tracker.client import TrackerClient
from eagle_node.tracker.schema import Advert, Holding, NodeInfo
from eagle_node.trust.key import create_key_file
from tests.integration.lazy.reader import SeekableBlob
from tests.integration.swarm.holder import claiming
from tests.support import http
from tests.support.node import Node, eagle_node
from tests.support.origin import Origin, scripted_origin
from tests.support.pulls import blob_url, pull_blob, traffic
from tests.support.waiting import until

MIB = 1 << 20
SIZE = 48 * MIB + 77
PLACES = random.Random(3).sample(range(0, 47 * MIB, 300_000), 20)
LENGTH = 100_000
ASKED = len(PLACES) * LENGTH
EDGES = 2 * BLOCK * len(PLACES)
"""What ranges are widened by, at the most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """An origin with one blob, a seeder that has it, and a node that has nothing."""

    origin: Origin
    digest: Digest
    seeder: Node
    reader: Node

    async def read(self) -> None:
        """Ranges here and there, the right bytes."""
        content = self.origin.content(self.digest)
        async with http.client() as session:
            blob = SeekableBlob(
                session=session, url=blob_url(self.reader, self.digest), size=len(content)
            )
            for start in PLACES:
                assert await blob.span(start, start + LENGTH) == content[start : start + LENGTH]


@asynccontextmanager
async def ground(directory: Path, *flags: str) -> AsyncIterator[Ground]:
    """All of it."""
    async with scripted_origin() as origin:
        digest = origin.add_random(SIZE)
        async with (
            eagle_node(directory / "seeder", *origin.flags, *flags) as seeder,
            eagle_node(directory / "reader", *origin.flags, *flags, *seeder.pins) as reader,
        ):
            await pull_blob(seeder, digest)
            yield Ground(origin=origin, digest=digest, seeder=seeder, reader=reader)


async def _uploaded(node: Node) -> int:
    return int((await traffic(node))["peer_upload_bytes"])


def _key(directory: Path) -> Sequence[str]:
    create_key_file(directory / "key")
    return "--cluster-key-file", str(directory / "key")


@pytest.mark.parametrize(
    "sealed",
    [
        pytest.param(False, id="clear text", marks=pytest.mark.slow),
        pytest.param(True, id="cluster key"),
    ],
)
async def test_ranges_come_from_a_node_that_has_them(tmp_path: Path, sealed: bool) -> None:
    """The seeder sends their hashes, a five-hundredth of the bytes; the registry nothing."""
    flags = _key(tmp_path) if sealed else ()
    async with ground(tmp_path, *flags) as here:
        at = (*here.origin.flags, *flags, *here.seeder.pins)
        async with eagle_node(tmp_path / "holder", *at) as holder:
            await pull_blob(holder, here.digest)

            async def is_held() -> bool:
                return bool((await holder.status())["cache"]["blobs"])

            await until(is_held, what="the holder to have the blob")
            await here.read()
            before = [await _uploaded(here.seeder), await _uploaded(holder)]
            sent = here.origin.sent(here.digest)
            async with eagle_node(tmp_path / "second", *at) as second:
                await Ground(
                    origin=here.origin, digest=here.digest, seeder=here.seeder, reader=second
                ).read()
                downloaded = (await traffic(second))["peer_download_bytes"]
            assert ASKED <= downloaded <= ASKED + EDGES

            async def has_sent() -> bool:
                return await _uploaded(holder) - before[1] >= ASKED

            await until(has_sent, what="the holder to count what it has sent")
            assert await _uploaded(here.seeder) - before[0] <= ASKED // BLOCK * HASH + LENGTH
            assert here.origin.sent(here.digest) == sent


async def test_what_a_liar_sends_reaches_nobody(tmp_path: Path) -> None:
    """It says that it has the blob, and sends other bytes: the seeder sends the right ones."""
    async with (
        ground(tmp_path) as here,
        claiming(lambda _, __, length: bytes(length), pieces=1000) as liar,
        TrackerClient(lambda: [here.seeder.tracker_url]) as tracker,
    ):
        node = NodeInfo(node_id=NodeId("1" * 32), host=liar.address.host, port=liar.address.port)
        held = Holding(digest=here.digest, size=SIZE)
        await tracker.advertise(Advert(node=node, full=True, held=(held,)))
        await here.read()
        assert liar.asked
        log = here.reader.log()
        assert log.count("sent a wrong block") == 1


@pytest.mark.slow
async def test_a_holder_that_goes_away_is_done_without(tmp_path: Path) -> None:
    """Killed between two ranges; the reader's bytes are right all the same."""
    async with ground(tmp_path) as here:
        at = (*here.origin.flags, *here.seeder.pins)
        async with eagle_node(tmp_path / "holder", *at) as holder:
            await pull_blob(holder, here.digest)
            await here.read()
            await holder.kill()
            async with eagle_node(tmp_path / "second", *at) as second:
                await Ground(
                    origin=here.origin, digest=here.digest, seeder=here.seeder, reader=second
                ).read()
        assert here.origin.sent(here.digest) == SIZE
