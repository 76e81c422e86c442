"""Rules of `ByteBudget`, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from eagle_node.runtime.budget import ByteBudget
from tests.unit.runtime.virtual_time import run_virtually

RATE = 1_000_000
CHUNK = 64 << 10

Scenario = Callable[[ByteBudget, Callable[[], float]], Coroutine[Any, Any, None]]


def play(scenario: Scenario, *, rate: int = RATE) -> None:
    """Run a scenario with a fresh budget and its clock."""

    async def main() -> None:
        clock = asyncio.get_running_loop().time
        await scenario(ByteBudget(rate, clock=clock), clock)

    run_virtually(main())


@pytest.mark.parametrize("takers", [1, 7])
def test_the_rate_is_held_however_many_take(takers: int) -> None:
    """Over ten seconds the bytes taken are within 5 % of the rate."""

    async def scenario(budget: ByteBudget, clock: Callable[[], float]) -> None:
        async def take() -> None:
            while clock() < 10:
                await budget.take(CHUNK)

        await asyncio.gather(*(take() for _ in range(takers)))
        assert budget.taken / clock() == pytest.approx(RATE, rel=0.05)

    play(scenario)


def test_takers_are_served_in_the_order_in_which_they_came() -> None:
    """Nobody overtakes, and a large taker does not starve small ones."""

    async def scenario(budget: ByteBudget, _: Callable[[], float]) -> None:
        served: list[str] = []

        async def take(name: str, count: int) -> None:
            await budget.take(count)
            served.append(name)

        await asyncio.gather(take("large", 3 * RATE), take("small", 1), take("middle", RATE))
        assert served == ["large", "small", "middle"]

    play(scenario)


def test_each_of_many_greedy_takers_gets_its_share() -> None:
    """First come, first served makes equal chunks equal rates."""

    async def scenario(budget: ByteBudget, clock: Callable[[], float]) -> None:
        counts = [0] * 4

        async def take(number: int) -> None:
            while clock() < 10:
                await budget.take(CHUNK)
                counts[number] += CHUNK

        await asyncio.gather(*(take(number) for number in range(4)))
        assert max(counts) - min(counts) <= 2 * CHUNK

    play(scenario)


def test_bytes_charged_are_waited_off() -> None:
    """What moved elsewhere is a debt: the next taker waits until it is paid."""

    async def scenario(budget: ByteBudget, clock: Callable[[], float]) -> None:
        budget.charge(RATE)
        await budget.take(1)
        assert clock() == pytest.approx(0.9, abs=0.01)

    play(scenario)


def test_a_debt_does_not_grow_without_bound() -> None:
    """Traffic that is a little over the rate for an hour delays a taker by seconds only."""

    async def scenario(budget: ByteBudget, clock: Callable[[], float]) -> None:
        for _ in range(4 * 3600):
            await asyncio.sleep(0.25)
            budget.charge(int(0.25 * RATE * 1.05))
        before = clock()
        await budget.take(CHUNK)
        assert clock() - before < 3

    play(scenario)


def test_unused_rate_is_not_saved_up() -> None:
    """After an idle hour only the burst of a tenth of a second goes at once."""

    async def scenario(budget: ByteBudget, clock: Callable[[], float]) -> None:
        await asyncio.sleep(3600)
        before = clock()
        for _ in range(20):
            await budget.take(RATE // 10)
        assert clock() - before == pytest.approx(1.9, abs=0.01)

    play(scenario)


def test_a_rate_of_zero_is_no_limit() -> None:
    """Bytes are only counted."""

    async def scenario(budget: ByteBudget, clock: Callable[[], float]) -> None:
        budget.charge(1 << 40)
        await budget.take(1 << 40)
        assert budget.taken == 1 << 40
        assert clock() < 0.001

    play(scenario, rate=0)


def test_lifting_the_limit_frees_who_waits() -> None:
    """A new rate counts for takers that wait already, within a second."""

    async def scenario(budget: ByteBudget, clock: Callable[[], float]) -> None:
        waiting = asyncio.create_task(budget.take(1000 * RATE))
        await asyncio.sleep(0.5)
        assert budget.waiting == 1
        budget.rate = 0
        await waiting
        assert clock() <= 1.5
        assert budget.waiting == 0

    play(scenario)


def test_a_cancelled_taker_lets_the_next_one_go_on() -> None:
    """The turn is handed on, and nobody is counted as waiting."""

    async def scenario(budget: ByteBudget, _: Callable[[], float]) -> None:
        first = asyncio.create_task(budget.take(2 * RATE))
        second = asyncio.create_task(budget.take(1))
        await asyncio.sleep(0.5)
        first.cancel()
        await second
        assert first.cancelled()
        assert budget.waiting == 0

    play(scenario)
