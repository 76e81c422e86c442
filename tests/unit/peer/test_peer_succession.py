"""The seeders that a download asks, while they come and go."""

from __future__ import annotations

from eagle_node.peer.succession import Line, Succession
from eagle_node.runtime.sockets import Address

A, B, C = (Address(f"10.0.0.{number}", 7000) for number in (1, 2, 3))


def test_seeders_keep_their_places_and_lose_their_standing() -> None:
    """Who was asked is told apart by his place, also after he has lost the role."""
    succession = [Succession(before=(A, B), own_turn=False)]
    line = Line(lambda: succession[-1], elected=True)
    assert (line.seeders, line.standing) == ([A, B], frozenset({0, 1}))
    assert not line.look()
    succession.append(Succession(before=(C, B), own_turn=False))
    assert line.look()
    assert (line.seeders, line.standing) == ([A, B, C], frozenset({1, 2}))
    assert line.order() == [C, B, A]
    succession.append(Succession(before=(), own_turn=True))
    assert line.order() == [A, B, C]
    assert line.look()
    assert (line.seeders, line.standing, line.own_turn) == ([A, B, C], frozenset(), True)
