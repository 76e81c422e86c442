"""Whom a node tells what a manifest names."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from eagle_node.base.digest import Digest, digest_of
from eagle_node.base.errors import Unavailable
from eagle_node.base.ids import NodeId
from eagle_node.metainfo.messages import PrefetchBlob, PrefetchRequest
from eagle_node.proxy.ahead import FetchAhead
from eagle_node.registry.access import AccessMemory
from eagle_node.registry.names import Repository
from eagle_node.runtime.sockets import Address

REPOSITORY = Repository("registry.test", "team/app")
BLOBS = [PrefetchBlob(digest=digest_of(bytes([n])), size=n) for n in range(8)]
BODY = json.dumps(
    {
        "config": {"mediaType": "c", "digest": BLOBS[0].digest, "size": BLOBS[0].size},
        "layers": [{"mediaType": "l", "digest": b.digest, "size": b.size} for b in BLOBS[1:]],
    }
).encode()
MANIFEST = digest_of(BODY)
SEEDERS = [Address("192.0.2.1", 1), Address("192.0.2.2", 1)]


class Cluster:
    """Two seeders that own every other blob, and what they were told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.held: set[Digest] = set()
        self.told: list[tuple[Address, PrefetchRequest]] = []
        self.was_told = asyncio.Event()
        self.error: Unavailable | None = None
        self.seeders = SEEDERS
        self.ahead = FetchAhead(
            order=self.order,
            tell=self.tell,
            holds=self.held.__contains__,
            memory=AccessMemory(60.0, 10.0, 600.0),
            node_id=NodeId("0" * 32),
            clock=lambda: self.now,
        )

    def order(self, digest: Digest) -> list[Address]:
        """Owner first."""
        owner = [blob.digest for blob in BLOBS].index(digest) % 2
        return [*self.seeders[owner:], *self.seeders[:owner]]

    async def tell(self, seeder: Address, request: PrefetchRequest) -> None:
        """Take note."""
        self.told.append((seeder, request))
        self.was_told.set()
        if self.error is not None:
            raise self.error

    async def give(self, who: str | None = None) -> None:
        """A client is given the manifest; all notices have been sent after this."""
        self.ahead.given(REPOSITORY, MANIFEST, BODY, who)
        for _ in range(3):
            await asyncio.sleep(0)

    def blobs(self) -> dict[Address, list[PrefetchBlob]]:
        """What each seeder was told of, in all."""
        shares: dict[Address, list[PrefetchBlob]] = {}
        for seeder, request in self.told:
            shares.setdefault(seeder, []).extend(request.blobs)
        return shares


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    running = Cluster()
    yield running
    await running.ahead.aclose()


async def test_each_blob_is_told_to_the_seeder_that_owns_it(cluster: Cluster) -> None:
    """Once, in the order of the manifest, with the client's own credentials."""
    await cluster.give("Basic right")
    assert cluster.blobs() == {SEEDERS[0]: BLOBS[0::2], SEEDERS[1]: BLOBS[1::2]}
    for _, request in cluster.told:
        assert (request.registry, request.repository) == ("registry.test", "team/app")
        assert request.authorization == "Basic right"


async def test_blobs_that_are_here_are_nobodys_to_fetch(cluster: Cluster) -> None:
    """A warm node that pulls again causes no traffic, whatever the seeders have evicted."""
    cluster.held.update(blob.digest for blob in BLOBS[:-1])
    await cluster.give()
    assert cluster.blobs() == {SEEDERS[1]: BLOBS[-1:]}
    cluster.held.add(BLOBS[-1].digest)
    await cluster.give("Basic other")
    assert len(cluster.told) == 1


async def test_a_manifest_is_told_of_once_per_client_and_minute(cluster: Cluster) -> None:
    """Clients ask by tag, then by digest, and many at a time."""
    for _ in range(5):
        await cluster.give()
    assert len(cluster.told) == 2
    await cluster.give("Basic other")
    assert len(cluster.told) == 4
    cluster.now = 61.0
    await cluster.give()
    assert len(cluster.told) == 6


async def test_a_seeder_that_cannot_be_told_harms_nobody(cluster: Cluster) -> None:
    """Its blobs come when they are asked for."""
    cluster.error = Unavailable("down")
    await cluster.give()
    assert len(cluster.told) == 2


async def test_without_seeders_nobody_is_told(cluster: Cluster) -> None:
    """A node that goes straight to the origin fetches what is asked for."""
    cluster.seeders = []
    await cluster.give()
    assert cluster.told == []


async def test_credentials_are_not_kept(cluster: Cluster) -> None:
    """What was told is remembered by a salted hash, and a notice does not show them."""
    await cluster.give("Basic c2VjcmV0")
    assert "c2VjcmV0" not in repr(vars(cluster.ahead))
    assert "c2VjcmV0" not in repr(cluster.told)
