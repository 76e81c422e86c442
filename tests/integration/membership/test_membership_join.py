"""Members on loopback find each other, tell changes, and go."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial

import pytest

from eagle_node.base.errors import StartError
from eagle_node.membership.events import Change, Gone, Joined
from eagle_node.membership.member import State
from eagle_node.membership.meta import Meta
from eagle_node.membership.service import Membership
from eagle_node.metrics.instruments import Metrics
from eagle_node.runtime.sockets import Address
from tests.integration.membership.rig import member, node_id, seen, together


async def five(stack: AsyncExitStack) -> list[Membership]:
    """Five members, each told the first one's address only."""
    first = await stack.enter_async_context(member(1))
    others = [
        await stack.enter_async_context(member(number, first.address)) for number in range(2, 6)
    ]
    return [first, *others]


async def test_five_members_know_each_other_through_one() -> None:
    """Who joins at one member's address is known to all."""
    async with AsyncExitStack() as stack:
        members = await five(stack)
        await together(*members)
        assert [each.own.state for each in members] == [State.ALIVE] * 5


async def test_members_meet_over_ipv6() -> None:
    """Gossip works over IPv6 alone, and a listener on all addresses takes both families."""
    async with (
        member(1, host="::1") as one,
        member(2, one.address, host="::1") as two,
    ):
        await together(one, two)


async def test_a_dual_listener_talks_to_both_families() -> None:
    """A node that listens on ``::`` has members of either family."""
    async with Membership(
        node_id=node_id(1),
        host="127.0.0.1",
        listen=Address("::", 0),
        meta=Meta(),
        cluster="test",
        keys=None,
        metrics=Metrics(),
    ) as one:
        six = Address("::1", one.address.port)
        async with member(2, one.address) as two, member(3, six, host="::1") as three:
            await seen(one, lambda: len(one.members()) == 3)
            assert two.address.host == "127.0.0.1"
            assert three.address.host == "::1"


async def test_a_description_reaches_all() -> None:
    """What a node says of itself is what the others know of it."""
    async with AsyncExitStack() as stack:
        members = await five(stack)
        await together(*members)
        told = Meta(roles=("seeder",), zone="eu", ports=(("raft", 7947),), load=3)
        members[2].update(told)

        def knows(each: Membership) -> bool:
            return each.members()[node_id(3)].meta == told

        for each in members:
            await seen(each, partial(knows, each))


async def test_a_farewell_is_no_death() -> None:
    """Who leaves is gone at once, and known to have left."""
    async with AsyncExitStack() as stack:
        members = await five(stack)
        await together(*members)
        told: list[Change] = []
        members[0].on_change.append(told.append)
        await members[4].leave()
        for each in members[:4]:
            assert each.departed()[node_id(5)].state is State.LEFT
            assert len(each.members()) == 4
        assert [type(change) for change in told] == [Gone]


async def test_the_killed_are_found_dead() -> None:
    """Who falls silent is out of every view, and declared dead."""
    async with AsyncExitStack() as stack:
        members = await five(stack)
        await together(*members)
        async with member(6, members[0].address) as victim:
            await together(*members, victim)
        async with asyncio.timeout(60):
            await together(*members)
        assert members[0].departed()[node_id(6)].state is State.DEAD


async def test_the_restarted_are_back_at_once() -> None:
    """A node that starts again on its address is taken as it is now, before it was missed."""
    async with member(1) as one:
        async with member(2, one.address, incarnation=1 << 32) as two:
            await together(one, two)
            port = two.address.port
        described = Meta(zone="moved")
        async with member(2, one.address, port=port, incarnation=2 << 32, meta=described) as two:
            await seen(one, lambda: one.members()[node_id(2)].meta == described, timeout=30)
            assert one.departed() == {}


async def test_changes_can_be_iterated() -> None:
    """The changes of a view come one by one, in order."""
    async with member(1) as one:
        changes = one.changes()
        waiting = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)
        async with member(2, one.address) as two:
            first = await waiting
            assert isinstance(first, Joined)
            assert first.member == two.own
        await changes.aclose()  # type: ignore[attr-defined]


async def test_a_taken_port_is_told() -> None:
    """The error names the address and the flag."""
    async with member(1) as one:
        with pytest.raises(StartError, match=rf"{one.address}.*--gossip-port"):
            async with member(2, port=one.address.port):
                pass
