"""A content store that comes, changes and goes, beside a real cache and a real session."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from eagle_node.base.digest import Digest, digest_of
from eagle_node.base.errors import Unavailable
from eagle_node.config.tree import LendingConfig, StoreChoice, SwarmConfig
from eagle_node.lending.service import RuntimeStore
from eagle_node.metrics.instruments import total
from eagle_node.mirror.content_store import STORE
from eagle_node.runtime.budget import ByteBudget
from eagle_node.runtime.sockets import Address, listen_tcp
from eagle_node.runtime.tasks import TaskSet
from tests.integration.lending.ground import LOOPBACK, blob
from tests.integration.swarm.rig import Rig, rig
from tests.support.waiting import until
from tests.unit.blobs.builders import ingest

MIB = 1 << 20
DATA = [blob(2 * MIB, seed) for seed in range(3)]


class Store:
    """A content store's directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.directory = root / STORE / "blobs" / "sha256"

    def put(self, data: bytes, *, name: Digest | None = None) -> Digest:
        """A blob, as containerd places it."""
        digest = digest_of(data) if name is None else name
        self.directory.mkdir(parents=True, exist_ok=True)
        ingest = self.root / "data"
        ingest.write_bytes(data)
        ingest.rename(self.path(digest))
        return digest

    def path(self, digest: Digest) -> Path:
        """The file of a blob."""
        return self.directory / digest.removeprefix("sha256:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A node's parts that matter here."""

    parts: Rig
    lending: RuntimeStore

    async def lends(self, *digests: Digest) -> None:
        """Wait until exactly these blobs are lent, and offered to peers."""

        async def is_so() -> bool:
            offered = self.lending.offered().keys()
            return self.parts.cache.lent().keys() == set(digests) == offered

        await until(is_so, what=f"{len(digests)} blobs to be lent")


@asynccontextmanager
async def lending(
    directory: Path,
    root: Path,
    *,
    dedupe: bool = False,
    verify_rate: int = 0,
    most_torrents: int = 4000,
) -> AsyncIterator[Ground]:
    """A store that is looked into."""
    config = LendingConfig(
        store=StoreChoice(path=root), dedupe=dedupe, port=0, verify_rate=verify_rate
    )
    async with rig(directory / "cache") as parts, TaskSet() as tasks:
        store = RuntimeStore(
            config,
            SwarmConfig(most_torrents=most_torrents),
            cache=parts.cache,
            transfers=parts.transfers,
            metrics=parts.metrics,
            index=directory / "lending.sqlite",
            listener=listen_tcp(Address(LOOPBACK, 0), flag="--containerd-port"),
            upload=ByteBudget(0),
            look_s=0.05,
            quiet_s=0.3,
        )
        async with store:
            running = tasks.spawn(store.run(), name="lending")
            yield Ground(parts=parts, lending=store)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_a_store_may_come_and_go(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is wrong is told once, with the way out; it recovers by itself, and reads nothing anew.

    Also when all of containerd's root is taken away.
    """
    caplog.set_level("INFO")
    store = Store(tmp_path / "root")
    async with lending(tmp_path, store.root) as ground:

        async def is_troubled() -> bool:
            return bool(ground.lending.state.trouble)

        await until(is_troubled, what="the store to be missed")
        assert "is not there: start containerd, or give its root" in ground.lending.state.trouble
        digests = [store.put(data) for data in DATA]
        await ground.lends(*digests)
        assert ground.lending.state.trouble == ""
        assert (ground.lending.state.blobs, ground.lending.state.size) == (3, 6 * MIB)
        store.root.rename(tmp_path / "aside")
        await ground.lends()
        assert all(digest not in ground.parts.cache for digest in digests)
        (tmp_path / "aside").rename(store.root)
        await ground.lends(*digests)
        shutil.rmtree(store.root)
        await ground.lends()
    told = [record.message for record in caplog.records if "content" in record.message]
    assert [("is not there" in line, "can be read" in line) for line in told] == [
        *[(True, False), (False, True)] * 2,
        (True, False),
    ]
    assert caplog.records[0].levelname == "WARNING"


async def test_a_restart_reads_nothing_again(tmp_path: Path) -> None:
    """What was verified is known by its identity, with all that peers need; others are read."""
    store = Store(tmp_path / "root")
    digests = [store.put(data) for data in DATA]
    async with lending(tmp_path, store.root) as ground:
        await ground.lends(*digests)
        torrents = dict(ground.lending.offered())
    store.put(DATA[0])
    async with lending(tmp_path, store.root, verify_rate=1) as ground:
        # Nothing is read at this rate but in a hurry.
        await ground.lends(*digests[1:])
        await ground.lending.ready(digests[0])
        await ground.lends(*digests)
        assert ground.lending.offered() == torrents


async def test_what_a_client_waits_for_is_verified_at_once(tmp_path: Path) -> None:
    """However slowly the rest is read; wrong bytes are found and left alone."""
    store = Store(tmp_path / "root")
    right = store.put(DATA[0])
    wrong = store.put(DATA[1], name=digest_of(DATA[2]))
    async with lending(tmp_path, store.root, verify_rate=1) as ground:

        async def is_found() -> bool:
            return ground.lending.state.waiting == 2

        await until(is_found, what="the files to be found")
        for digest in (right, wrong):
            await ground.parts.transfers.ready(digest)
        assert right in ground.parts.cache
        assert wrong not in ground.parts.cache
        assert ground.lending.state.wrong == 1
        assert total(ground.parts.metrics.wrong_content) == 1


async def test_a_file_that_is_replaced_is_never_taken_for_the_old_one(tmp_path: Path) -> None:
    """Not even within the same look: each use looks at the file."""
    store = Store(tmp_path / "root")
    digest = store.put(DATA[0])
    async with lending(tmp_path, store.root) as ground:
        await ground.lends(digest)
        store.path(digest).write_bytes(DATA[1])
        assert ground.parts.cache.open(digest) is None
        with pytest.raises(Unavailable):
            await ground.parts.transfers.seeding.torrents_of(digest)
        await ground.lends()

        async def is_found_out() -> bool:
            return ground.lending.state.wrong == 1

        await until(is_found_out, what="the damage to be found")
        store.put(DATA[0])
        await ground.lends(digest)


async def test_a_copy_is_dropped_once_nobody_uses_it(tmp_path: Path) -> None:
    """Readers finish first; what is pinned stays."""
    store = Store(tmp_path / "root")
    async with lending(tmp_path, store.root, dedupe=True) as ground:
        cache = ground.parts.cache
        read, pinned, idle = [await ingest(cache, data) for data in DATA]
        await cache.keep(pinned, kept=True)
        reader = cache.open(read)
        assert reader is not None
        for data in DATA:
            store.put(data)
        await ground.lends(read, pinned, idle)

        async def is_dropped() -> bool:
            return not cache.is_resident(idle)

        await until(is_dropped, what="the idle copy to be dropped")
        assert cache.is_resident(read)
        assert await reader.read() == DATA[0]
        reader.close()

        async def is_dropped_too() -> bool:
            return not cache.is_resident(read)

        await until(is_dropped_too, what="the other copy to be dropped")
        assert cache.is_resident(pinned)
        assert cache.used == 2 * MIB
        assert ground.parts.transfers.seeding.lent().keys() >= {read, idle}
        assert ground.parts.transfers.port_of(idle) == ground.lending.port
        assert ground.parts.transfers.port_of(pinned) == 0
        reader = cache.open(idle)
        assert reader is not None
        assert await reader.read() == DATA[2]
        reader.close()


async def test_no_more_is_offered_than_torrents_may_be(tmp_path: Path) -> None:
    """The others are lent all the same, and take the place of those that were not used for long."""
    store = Store(tmp_path / "root")
    digests = [store.put(data) for data in DATA]
    async with lending(tmp_path, store.root, most_torrents=15) as ground:

        async def is_verified() -> bool:
            return ground.parts.cache.lent().keys() == set(digests)

        await until(is_verified, what="the files to be verified")

        async def is_full() -> bool:
            return len(ground.lending.offered()) == 1

        await until(is_full, what="one blob to be offered")
        (other, *_) = [d for d in digests if d not in ground.lending.offered()]
        torrents = await ground.parts.transfers.seeding.torrents_of(other)
        assert ground.lending.offered() == {other: torrents}
