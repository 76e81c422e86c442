"""Everybody else, as this node believes them to be."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from eagle_node.base.ids import NodeId
from eagle_node.membership.member import Member, State
from eagle_node.runtime.sockets import Address

MOST_MEMBERS = 10_000
"""Nodes that are known at a time, dead ones included: bounds what strangers can fill without a
cluster key."""


class Table:
    """Beliefs by node id, the probe order, and who died when.

    Invariants: ``_order`` holds the live members, each once; ``_ended`` the others.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._members: dict[NodeId, Member] = {}
        self._order: list[NodeId] = []
        self._cursor = 0
        self._ended: dict[NodeId, float] = {}
        """When the dead and the departed were last alive for us, in that order."""
        self._hearsay: set[NodeId] = set()
        """Those of them that were never alive for us."""

    def __len__(self) -> int:
        return len(self._members)

    def get(self, node_id: NodeId) -> Member | None:
        """What is believed of a node."""
        return self._members.get(node_id)

    @property
    def everybody(self) -> Mapping[NodeId, Member]:
        """All beliefs; the view changes with them."""
        return MappingProxyType(self._members)

    @property
    def live_count(self) -> int:
        """How many are alive or suspect."""
        return len(self._order)

    @property
    def dead(self) -> Sequence[Member]:
        """Those that did not say farewell."""
        members = (self._members[node_id] for node_id in self._ended)
        return [member for member in members if member.state is State.DEAD]

    def addresses(self) -> set[Address]:
        """Where live members are."""
        return {self._members[node_id].address for node_id in self._order}

    def put(self, member: Member, now: float) -> None:
        """Believe this of a node from here on."""
        known = self._members.get(member.node_id)
        self._members[member.node_id] = member
        was_live = known is not None and known.state.live
        if member.state.live and not was_live:
            self._ended.pop(member.node_id, None)
            self._hearsay.discard(member.node_id)
            self._insert(member.node_id)
        elif not member.state.live and (was_live or known is None):
            if was_live:
                self._remove(member.node_id)
            self._ended[member.node_id] = now

    def put_hearsay(self, member: Member, now: float) -> None:
        """Remember an ended node that this one has never known alive.

        It is not told to others: news that each tells the other as if it were new never dies.
        """
        self.put(member, now)
        self._hearsay.add(member.node_id)

    def first_hand(self) -> Iterator[Member]:
        """All members but those of `put_hearsay`."""
        if not self._hearsay:
            return iter(self._members.values())
        return (each for each in self._members.values() if each.node_id not in self._hearsay)

    def has_room(self) -> bool:
        """Whether one more node can be taken in; the longest gone ones make room."""
        if len(self._members) >= MOST_MEMBERS and self._ended:
            self._drop(next(iter(self._ended)))
        return len(self._members) < MOST_MEMBERS

    def next_target(self) -> Member | None:
        """Whom to probe next: each once in a round, in another random order each round (4.3)."""
        if not self._order:
            return None
        if self._cursor >= len(self._order):
            self._chance.shuffle(self._order)
            self._cursor = 0
        member = self._members[self._order[self._cursor]]
        self._cursor += 1
        return member

    def sample(self, count: int, *, but: NodeId | None = None) -> list[Member]:
        """Up to ``count`` random live members, without ``but``."""
        picked = self._chance.sample(self._order, min(count + 1, len(self._order)))
        return [self._members[node_id] for node_id in picked if node_id != but][:count]

    def recently_dead(self, since: float) -> Iterator[Member]:
        """Those found dead after ``since``, the latest first."""
        for node_id, ended in reversed(self._ended.items()):
            if ended < since:
                return
            if self._members[node_id].state is State.DEAD:
                yield self._members[node_id]

    def forget(self, before: float) -> None:
        """Drop those that ended before then."""
        for node_id, ended in list(self._ended.items()):
            if ended >= before:
                return
            self._drop(node_id)

    def check(self) -> None:
        """Assert the invariants."""
        live = {node_id for node_id, member in self._members.items() if member.state.live}
        assert len(self._order) == len(live)
        assert set(self._order) == live
        assert self._ended.keys() == self._members.keys() - live
        assert list(self._ended.values()) == sorted(self._ended.values())
        assert self._hearsay <= self._ended.keys()

    def _drop(self, node_id: NodeId) -> None:
        del self._ended[node_id], self._members[node_id]
        self._hearsay.discard(node_id)

    def _insert(self, node_id: NodeId) -> None:
        """At a random place of the round (4.3): nobody can tell when it is first probed."""
        place = self._chance.randint(0, len(self._order))
        self._order.insert(place, node_id)
        if place < self._cursor:
            self._cursor += 1

    def _remove(self, node_id: NodeId) -> None:
        place = self._order.index(node_id)
        del self._order[place]
        if place < self._cursor:
            self._cursor -= 1
