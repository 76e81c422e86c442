"""Which members vote, and which hold which lease: pure functions of what the leader knows.

Both spread over zones, then hosts, and leave things as they are unless there is a need.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from eagle_node.base.ids import NodeId
from eagle_node.consensus.leases import setting
from eagle_node.consensus.records import LeaseRecord, Registry
from eagle_node.runtime.sockets import Address

MOST_VOTERS = 5
"""They survive two losses; more would only slow each write down."""
MOST_SLOTS = 32
"""Leases of one role."""
VIP = "vip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A member of the cluster, as the gossip tells it."""

    node_id: NodeId
    address: Address
    """Where its raft port is reached."""
    alive: bool = True
    zone: str = ""
    rack: str = ""
    host: str = ""
    """Address of the machine: several nodes may share one."""
    may: frozenset[str] = frozenset({"seeder", "tracker", VIP})
    """Roles (`role_of`) that it is able to hold."""
    never: frozenset[str] = frozenset()
    """Roles that its flags exclude; ``voter`` is one."""
    pinned: frozenset[str] = frozenset()
    """Roles that its flags demand."""
    acting: frozenset[str] = frozenset()
    """Roles that it says it has: perhaps as a stand-in, while nobody was elected."""
    version: str = ""
    age_s: float = 0.0
    """Since it joined."""

    def can(self, role: str) -> bool:
        """Whether it may hold ``role``."""
        return role in (self.may | self.pinned) and role not in self.never


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How many nodes should hold each role."""

    counts: Mapping[str, int] = field(default_factory=lambda: {"tracker": 3, "seeder": 2})

    def under(self, registry: Registry) -> Mapping[str, int]:
        """The counts with the cluster's settings (``trackers``, ``seeders``, ``vip``) over them."""
        counts = dict(self.counts)
        for role in ("tracker", "seeder"):
            text = setting(registry, f"{role}s")
            if text.isascii() and text.isdigit() and len(text) < 4:
                counts[role] = min(int(text), MOST_SLOTS)
        if setting(registry, VIP):
            counts[VIP] = 1
        return counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Who should have a lease; ``holder`` None: nobody."""

    lease: str
    holder: NodeId | None


def role_of(lease: str) -> str:
    """``tracker`` of ``tracker-2``."""
    return lease.partition("-")[0]


def slots(role: str, count: int) -> list[str]:
    """Names of the leases of a role."""
    if role == VIP:
        return [VIP] if count else []
    return [f"{role}-{number}" for number in range(count)]


def plan_voters(current: Collection[NodeId], members: Iterable[Candidate]) -> frozenset[NodeId]:
    """The members that should vote: an odd number of at most `MOST_VOTERS`.

    An even number survives no more losses than the odd one below it. ``members`` are those that
    count as alive; who votes already goes on, unless it makes room for balance in numbers.
    """
    able = {each.node_id: each for each in members if "voter" not in each.never}
    count = min(MOST_VOTERS, len(able))
    count -= (count + 1) % 2
    kept = sorted(node for node in current if node in able)
    chosen = [able[node] for node in kept]
    while len(chosen) > max(count, 0):
        chosen.remove(_most_crowded(chosen))
    rest = [each for node, each in sorted(able.items()) if node not in kept]
    while len(chosen) < count:
        best = _most_distant(rest, chosen)
        chosen.append(best)
        rest.remove(best)
    return frozenset(each.node_id for each in chosen)


def plan_leases(
    records: Sequence[LeaseRecord], members: Iterable[Candidate], counts: Mapping[str, int]
) -> list[Assignment]:
    """What should change: each lease of ``records`` or ``counts`` that has a wrong holder.

    ``members`` are those that are alive. A holder that is not among them has lost its lease. No
    node has two leases of one role; pinned nodes come first, and all of them get one.
    """
    alive = {each.node_id: each for each in members}
    held = {record.name: record.holder for record in records}
    wanted = dict.fromkeys((role_of(name) for name in held), 0) | dict(counts)
    changes: list[Assignment] = []
    for role, count in sorted(wanted.items()):
        changes += _plan_role(role, count, held, alive)
    return changes


def _plan_role(
    role: str, count: int, held: Mapping[str, NodeId | None], alive: Mapping[NodeId, Candidate]
) -> list[Assignment]:
    able = {node: each for node, each in alive.items() if each.can(role)}
    pinned = {node for node, each in able.items() if role in each.pinned}
    most = 1 if role == VIP else MOST_SLOTS
    names = slots(role, min(max(count, len(pinned)), most) if count or pinned else 0)
    now = {name: held.get(name) for name in names}
    keep: dict[str, NodeId] = {}
    for name, node in sorted(now.items(), key=lambda each: (each[1] not in pinned, each[0])):
        if node in able and node not in keep.values():
            keep[name] = node
    homeless = sorted(pinned - set(keep.values()))
    _make_room(keep, len(homeless) - (len(names) - len(keep)), pinned)
    for name in (each for each in names if each not in keep):
        node = homeless.pop(0) if homeless else _next_holder(role, able, keep.values())
        if node is not None:
            keep[name] = node
    changes = [
        Assignment(lease=name, holder=keep.get(name))
        for name in names
        if keep.get(name) != now[name]
    ]
    surplus = [name for name, node in held.items() if role_of(name) == role and name not in names]
    changes += [Assignment(lease=n, holder=None) for n in sorted(surplus) if held[n] is not None]
    return changes


def _make_room(keep: dict[str, NodeId], missing: int, pinned: Collection[NodeId]) -> None:
    """Give up ``missing`` slots of nodes that are not pinned."""
    loose = [name for name, node in sorted(keep.items()) if node not in pinned]
    for name in loose[: max(0, missing)]:
        del keep[name]


def _next_holder(
    role: str, able: Mapping[NodeId, Candidate], taken: Collection[NodeId]
) -> NodeId | None:
    rest = [each for node, each in sorted(able.items()) if node not in taken]
    if not rest:
        return None
    return _most_distant(rest, [able[node] for node in taken if node in able], role).node_id


_Place = Callable[[Candidate], object]
_PLACES: tuple[_Place, ...] = (
    lambda each: each.zone,
    lambda each: (each.zone, each.rack),
    lambda each: each.host or each.address.host,
)


def _crowding(each: Candidate, others: Sequence[Candidate]) -> tuple[int, ...]:
    """How many of ``others`` share its zone, its rack, its host."""
    return tuple(Counter(map(place, others))[place(each)] for place in _PLACES)


def _most_distant(
    rest: Sequence[Candidate], chosen: Sequence[Candidate], role: str = ""
) -> Candidate:
    """The one with the fewest neighbours.

    Of equals one that acts in ``role`` already, whose work another would begin again; then the one
    that has been here longest.
    """
    return min(
        rest,
        key=lambda each: (
            _crowding(each, chosen),
            role not in each.acting,
            -each.age_s,
            each.node_id,
        ),
    )


def _most_crowded(chosen: Sequence[Candidate]) -> Candidate:
    return max(chosen, key=lambda each: (_crowding(each, chosen), each.node_id))
