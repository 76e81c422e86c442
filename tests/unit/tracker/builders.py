"""Short ways to the values that tracker tests talk about."""

from __future__ import annotations

from collections.abc import Iterable

from eagle_node.base.digest import Digest, digest_of
from eagle_node.base.ids import InfoHash, NodeId
from eagle_node.blobs.segments import layout_of
from eagle_node.tracker.forest import Forest
from eagle_node.tracker.machine import Machine
from eagle_node.tracker.schema import Advert, Gone, Holding, NodeInfo, PlanRequest

MIB = 1 << 20
SIZE = 64 * MIB
SEGMENTS = len(layout_of(SIZE).segments)


def node_id(number: int) -> NodeId:
    """The id of the ``number``-th node."""
    return NodeId(f"{number:032x}")


def node(
    number: int,
    *,
    host: str | None = None,
    zone: str = "",
    rack: str = "",
    group: str = "",
    upload_rate: int = 0,
    seeder: bool = False,
) -> NodeInfo:
    """The ``number``-th node."""
    return NodeInfo(
        node_id=node_id(number),
        host=host or f"10.0.{number >> 8}.{number & 255}",
        port=61007,
        zone=zone,
        rack=rack,
        group=group,
        upload_rate=upload_rate,
        seeder=seeder,
    )


def blob(name: str = "blob") -> Digest:
    """A digest."""
    return digest_of(name.encode())


BLOB = blob()
"""The blob that a test is about, unless it says otherwise."""


def info_hash(number: int) -> InfoHash:
    """The ``number``-th info-hash, never all zero."""
    return InfoHash((number + 1).to_bytes(20, "big"))


def holds(
    info: NodeInfo,
    *digests: Digest,
    have: bytes | None = None,
    full: bool = False,
    size: int = SIZE,
    hashes: tuple[InfoHash, ...] = (),
    fetching: bool = False,
) -> Advert:
    """``info`` says that it holds ``digests``."""
    held = tuple(
        Holding(digest=d, size=size, have=have, info_hashes=hashes, fetching=fetching)
        for d in digests
    )
    return Advert(node=info, full=full, held=held)


class Cluster:
    """A machine whose waves are loaded on demand, from nothing, and checked after each step."""

    def __init__(self, *, interval_s: float = 30.0) -> None:
        self.machine = Machine(interval_s=interval_s)
        self.now = 0.0

    def holds(
        self,
        info: NodeInfo,
        *,
        have: bytes | None = None,
        digest: Digest = BLOB,
        fetching: bool = False,
    ) -> bool:
        """``info`` advertises the blob."""
        self.load(info.group, digest)
        return self.advertise(holds(info, digest, have=have, fetching=fetching))

    def advertise(self, advert: Advert) -> bool:
        """Hand in any advert."""
        wanted = self.machine.advertise(advert, self.now)
        self.machine.check()
        return wanted

    def joins(
        self,
        info: NodeInfo,
        *failed: int,
        gone: Iterable[int] = (),
        ago_s: float = 0.0,
        partial: bool = False,
        done: int = 0,
        size: int = SIZE,
        digest: Digest = BLOB,
    ) -> list[list[int]]:
        """``info`` asks for a plan; the numbers of its peers, per stripe."""
        self.load(info.group, digest, size)
        request = PlanRequest(
            node=info,
            digest=digest,
            size=size,
            failed=tuple(node_id(n) for n in failed),
            gone=tuple(Gone(node_id=node_id(n), ago_s=ago_s) for n in gone),
            partial=partial,
            done=done,
        )
        stripes = self.machine.plan(request, self.now).stripes
        self.machine.check()
        return [[int(peer.node_id, 16) for peer in peers] for peers in stripes]

    def parents(self, info: NodeInfo, digest: Digest = BLOB) -> list[int | None]:
        """The numbers of those that feed ``info``, per stripe; empty unless it downloads."""
        found = self.machine.parents_of(info, digest)
        return [None if parent is None else int(parent, 16) for parent in found]

    def load(self, group: str, digest: Digest, size: int = SIZE) -> None:
        """Nobody is known to hold the blob from former times."""
        if not self.machine.is_loaded((group, digest, size)):
            self.machine.load((group, digest, size), (), self.now)


def edges(trees: Forest) -> dict[tuple[NodeId, int], NodeId | None]:
    """Who feeds each member in each stripe."""
    return {(m, stripe): trees.parent(m, stripe) for m in trees for stripe in range(trees.stripes)}
