"""The machine keeps its invariants whatever happens, in whatever order."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from eagle_node.base.digest import Digest, digest_of
from eagle_node.base.ids import NodeId
from eagle_node.blobs.segments import layout_of
from eagle_node.tracker.bitmap import pack
from eagle_node.tracker.machine import HeldRow, Machine
from eagle_node.tracker.plan import MAX_PEERS
from eagle_node.tracker.schema import Advert, Gauged, Gone, Holding, NodeInfo, PlanRequest

SIZE = 5 << 20
WRONG_SIZE = 1 << 20
"""Of which some are told."""
SEGMENTS = len(layout_of(SIZE).segments)
DIGESTS = [digest_of(bytes([n])) for n in range(3)]
numbers = st.integers(1, 12)
blobs = st.sampled_from(DIGESTS)
rates = st.sampled_from([0, 100_000, 10_000_000, 20_000_000])
haves = st.none() | st.sets(st.integers(0, SEGMENTS - 1)).map(lambda some: pack(some, SEGMENTS))


def node(number: int, generation: int) -> NodeInfo:
    """Nodes of all kinds; a later ``generation`` of one has moved."""
    return NodeInfo(
        node_id=NodeId(f"{number:032x}"),
        host=f"10.0.0.{number}",
        port=1000 + generation,
        zone="abc"[(number + generation) % 3],
        rack="xy"[number % 2],
        group="g" if number > 9 else "",
        upload_rate=(0, 10_000_000, 100_000)[number % 3],
        seeder=number in (1, 10),
    )


class Trackers(RuleBasedStateMachine):
    """Nodes join, progress, fail, move, fall silent."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = Machine(interval_s=10.0)
        self.now = 0.0
        self.generation: dict[int, int] = {}
        self.stored: dict[tuple[str, Digest], dict[NodeId, bytes | None]] = {}

    def info(self, number: int) -> NodeInfo:
        """The node as it is now."""
        return node(number, self.generation.get(number, 0))

    @rule(
        number=numbers,
        digest=blobs,
        failed=st.sets(numbers, max_size=3),
        gone=st.sets(numbers, max_size=1),
        partial=st.sampled_from([False, False, True]),
        size=st.sampled_from([SIZE, SIZE, SIZE, WRONG_SIZE]),
    )
    def joins(
        self,
        number: int,
        digest: Digest,
        failed: set[int],
        gone: set[int],
        partial: bool,
        size: int,
    ) -> None:
        """A plan never names the joiner, the failed, or another group; asking again agrees."""
        info = self.info(number)
        key = (info.group, digest, size)
        if not self.machine.is_loaded(key):
            rows = [
                HeldRow(node_id=node_id, have=have)
                for node_id, have in self.stored.get(key[:2], {}).items()
            ]
            self.machine.load(key, rows, self.now)
        accused = tuple(NodeId(f"{n:032x}") for n in failed)
        dead = tuple(NodeId(f"{n:032x}") for n in gone)
        request = PlanRequest(
            node=info,
            digest=digest,
            size=size,
            failed=accused,
            gone=tuple(Gone(node_id=each) for each in dead),
            partial=partial,
        )
        plan = self.machine.plan(request, self.now)
        assert 1 <= len(plan.stripes) <= 2
        for peers in plan.stripes:
            named = [peer.node_id for peer in peers]
            assert len(named) == len(set(named)) <= MAX_PEERS
            assert not {info.node_id, *accused, *dead} & set(named)
            assert all((int(name, 16) > 9) == (number > 9) for name in named)
        assert self.machine.plan(request, self.now).revision == plan.revision
        assert self.machine.current_plan(request, self.now).revision in (plan.revision, "")

    @rule(number=numbers, digest=blobs, have=haves, full=st.booleans(), fetching=st.booleans())
    def holds(
        self, number: int, digest: Digest, have: bytes | None, full: bool, fetching: bool
    ) -> None:
        """A node advertises a blob, perhaps as all that it has; it may ask the origin for more."""
        info = self.info(number)
        held = Holding(digest=digest, size=SIZE, have=have, fetching=fetching)
        self.machine.advertise(Advert(node=info, full=full, held=(held,)), self.now)
        self.stored.setdefault((info.group, digest), {})[info.node_id] = have

    @rule(number=numbers, others=st.dictionaries(numbers, rates, max_size=3))
    def measures(self, number: int, others: dict[int, int]) -> None:
        """A node tells what came from others; whom it should try next is in its group."""
        info = self.info(number)
        gauged = tuple(
            Gauged(node_id=NodeId(f"{other:032x}"), rate=rate) for other, rate in others.items()
        )
        self.machine.advertise(Advert(node=info, gauged=gauged), self.now)
        for peer in self.machine.gauges_for(info.node_id, self.now):
            other = self.info(int(peer.node_id, 16))
            assert peer.node_id != info.node_id
            assert other.group == info.group

    @rule(number=numbers, digest=blobs)
    def drops(self, number: int, digest: Digest) -> None:
        """A node loses a blob."""
        info = self.info(number)
        self.machine.advertise(Advert(node=info, dropped=(digest,)), self.now)
        self.stored.get((info.group, digest), {}).pop(info.node_id, None)

    @rule(number=numbers)
    def moves(self, number: int) -> None:
        """A node comes back in another zone."""
        self.generation[number] = self.generation.get(number, 0) + 1

    @rule(seconds=st.floats(0.1, 25.0))
    def time_passes(self, seconds: float) -> None:
        """Who is silent for two intervals disappears."""
        self.now += seconds
        for node_id in self.machine.expire(self.now):
            assert self.machine.node(node_id) is None
            for rows in self.stored.values():
                rows.pop(node_id, None)

    @invariant()
    def agrees(self) -> None:
        """Waves, sources, children and nodes agree."""
        self.machine.check()


Trackers.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestTrackers = Trackers.TestCase
