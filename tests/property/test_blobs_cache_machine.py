"""The cache under random histories: arrivals, readers, failures, restarts."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from eagle_node.base.digest import Digest, digest_of
from eagle_node.base.errors import NoSpace, Unavailable, WrongContent
from eagle_node.blobs.arrival import Arrival, Phase
from eagle_node.blobs.reader import BlobReader
from eagle_node.blobs.segments import layout_of
from tests.unit.blobs.builders import MIB, bytes_on_disk, content, make_cache, write_segment

T = TypeVar("T")

MOST = 6 * MIB
"""The highest limit that there ever is."""
BLOBS = {
    digest_of(data): data
    for data in (content(size, size) for size in (0, 1, MIB, MIB + 1, 2 * MIB, 3 * MIB, 4 * MIB))
}
WRONG = content(2 * MIB, 99)
"""Bytes that somebody offers under another blob's digest."""

digests = st.sampled_from(sorted(BLOBS))
picks = st.integers(0, 100)


class CacheMachine(RuleBasedStateMachine):
    """Drives a real cache; the model is what each digest's bytes are."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = tempfile.TemporaryDirectory()
        self.root = Path(self.directory.name)
        self.readers: list[tuple[Digest, BlobReader]] = []
        self.bytes_of: dict[Digest, bytes] = {}
        self.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def start(self) -> None:
        self.cache = make_cache(self.root, limit=MOST)
        self.run(self.cache.__aenter__())

    def teardown(self) -> None:
        self.run(self.cache.__aexit__())
        self.runner.close()
        self.directory.cleanup()

    async def reserve(self, arrival: Arrival, indices: set[int]) -> None:
        self.cache.reserve(arrival, indices)

    def arrival(self, pick: int) -> Arrival:
        arrivals = list(self.cache.arrivals().values())
        return arrivals[pick % len(arrivals)]

    def has_arrivals(self) -> bool:
        return bool(self.cache.arrivals())

    @rule(digest=digests, wrong=st.booleans())
    def arrive(self, digest: Digest, wrong: bool) -> None:
        if digest in self.cache or digest in self.cache.arrivals():
            return
        data = WRONG if wrong else BLOBS[digest]
        if self.cache.resumable(digest) not in (None, len(data)):
            data = BLOBS[digest] if wrong else WRONG
        self.bytes_of[digest] = data
        self.run(self.cache.arrive(digest, len(data)))

    @precondition(has_arrivals)
    @rule(pick=picks, indices=st.sets(st.integers(0, 3)), whole=st.booleans())
    def bytes_come(self, pick: int, indices: set[int], whole: bool) -> None:
        arrival = self.arrival(pick)
        data = self.bytes_of[arrival.digest]
        there = {i for i in indices if i < len(arrival.layout.segments)} - arrival.have
        try:
            self.run(self.reserve(arrival, there))
        except NoSpace:
            return
        for index in there:
            write_segment(arrival, data, index, count=None if whole else 7)
            if whole:
                self.run(self.cache.segment_done(arrival, index))

    @precondition(has_arrivals)
    @rule(pick=picks)
    def the_whole_comes(self, pick: int) -> None:
        arrival = self.arrival(pick)
        count = len(arrival.layout.segments)
        self.bytes_come(pick, set(range(count)), whole=True)
        if not arrival.complete:
            return
        self.run(arrival.verify())
        if arrival.phase is Phase.VERIFIED:
            assert digest_of(self.bytes_of[arrival.digest]) == arrival.digest
            self.run(self.cache.commit(arrival, b"le"))
        else:
            assert isinstance(arrival.error, WrongContent)
            self.run(self.cache.suspend(arrival))
            assert self.cache.resumable(arrival.digest) is None

    @precondition(has_arrivals)
    @rule(pick=picks)
    def the_source_fails(self, pick: int) -> None:
        arrival = self.arrival(pick)
        arrival.fail(Unavailable("broken off"))
        self.run(self.cache.suspend(arrival))

    @rule(digest=digests)
    def somebody_opens(self, digest: Digest) -> None:
        if (reader := self.cache.open(digest)) is not None:
            self.readers.append((digest, reader))

    @precondition(lambda self: self.readers)
    @rule(pick=picks)
    def somebody_closes(self, pick: int) -> None:
        reader = self.readers.pop(pick % len(self.readers))[1]
        self.run(_in_loop(reader.close))

    @rule(digest=digests)
    def drop(self, digest: Digest) -> None:
        pinned = any(digest == each for each, _ in self.readers)
        dropped = self.run(self.cache.drop(digest))
        assert not (dropped and pinned)

    @rule(mib=st.integers(1, 6))
    def the_limit_changes(self, mib: int) -> None:
        self.run(_in_loop(partial(self.cache.resize, mib * MIB)))

    @precondition(lambda self: not self.readers and not self.has_arrivals())
    @rule()
    def nobody_reads(self) -> None:
        assert self.cache.used <= self.cache.limit

    @rule()
    def restart(self) -> None:
        for _, reader in self.readers:
            self.run(_in_loop(reader.close))
        self.readers.clear()
        whole = {digest: each.size for digest, each in self.cache.blobs().items()}
        self.run(self.cache.__aexit__())
        self.start()
        assert {digest: each.size for digest, each in self.cache.blobs().items()} == whole
        assert not self.cache.arrivals()

    @invariant()
    def invariants_hold(self) -> None:
        self.cache.check()

    @invariant()
    def the_disk_holds_no_more_than_the_limit(self) -> None:
        assert self.cache.used <= MOST
        assert bytes_on_disk(self.root) <= MOST

    @invariant()
    def what_is_whole_is_right(self) -> None:
        for digest, resident in self.cache.blobs().items():
            assert resident.size == len(BLOBS[digest])
            directory = self.cache.directory(digest)
            paths = map(directory.segment, range(len(layout_of(resident.size).segments)))
            assert b"".join(path.read_bytes() for path in paths) == BLOBS[digest]

    @invariant()
    def what_is_read_stays(self) -> None:
        for digest, reader in self.readers:
            if digest in self.cache:
                assert self.run(reader.read()) == BLOBS[digest]


async def _in_loop(call: Callable[[], None]) -> None:
    """What starts work in the background needs a loop that runs."""
    call()


TestCacheUnderRandomHistories = CacheMachine.TestCase
TestCacheUnderRandomHistories.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
