"""Whom to dial to find the cluster, and to find it again: the dead, and addresses to join at."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Sequence

from eagle_node.membership.member import Member
from eagle_node.runtime.sockets import Address

_AT_ONCE = 8
"""Addresses that are dialled in one attempt by a node that knows nobody."""


class Contacts:
    """Addresses to join at, and the pause between attempts.

    ``own`` are addresses at which this node met itself; they are not dialled again.
    """

    def __init__(self, chance: random.Random, *, first_s: float, usual_s: float) -> None:
        self._chance = chance
        self._first_s = first_s
        self._usual_s = usual_s
        self._pause_s = first_s
        self.addresses: frozenset[Address] = frozenset()
        self.own: set[Address] = set()
        self.alone_told = False

    def set(self, addresses: frozenset[Address]) -> None:
        """Replace the addresses; new ones are worth quick attempts."""
        if addresses - self.addresses:
            self._pause_s = self._first_s
        self.addresses = addresses

    def choose(self, dead: Sequence[Member], live: Collection[Address]) -> list[Address]:
        """Whom to dial now.

        A node that knows nobody tries every address. Others try one at random, and the less often
        the fewer there are beside the living: together they make a few attempts, not one each.
        """
        joins = self._strangers(self.addresses, live)
        if not live:
            told = [*joins, *self._strangers((member.address for member in dead), ())]
            return self._chance.sample(told, min(_AT_ONCE, len(told)))
        lost = [*joins, *(member.address for member in dead)]
        if not lost or self._chance.random() > (len(lost) + 1) / (len(lost) + len(live)):
            return []
        return [self._chance.choice(lost)]

    def pause_s(self, *, alone: bool) -> float:
        """Seconds until the next attempt."""
        if not alone:
            self._pause_s = self._first_s
            return self._usual_s * self._chance.uniform(0.8, 1.2)
        pause = self._pause_s
        self._pause_s = min(2 * pause, self._usual_s)
        return pause * self._chance.uniform(0.8, 1.2)

    def _strangers(self, addresses: Iterable[Address], live: Collection[Address]) -> list[Address]:
        return sorted({*addresses} - {*live} - self.own, key=str)
