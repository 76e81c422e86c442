"""The governor's arithmetic, in virtual time, with a swarm that obeys it more or less."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from eagle_node.config.tree import LimitsConfig
from eagle_node.swarm.events import Traffic
from eagle_node.swarm.governor import GOVERN_INTERVAL_S, Governor
from tests.unit.runtime.virtual_time import run_virtually

LIMIT = 1_000_000
CHUNK = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Rates over a simulation, as parts of the limit."""

    swarm: float
    others: float
    least_share: float
    """The smallest share that the swarm was given."""

    @property
    def all(self) -> float:
        """The whole node."""
        return self.swarm + self.others


async def simulate(
    *,
    obeys: Callable[[int], float],
    takers: int = 0,
    taker_pause_s: float = 0.0,
    seconds: float = 30.0,
) -> Outcome:
    """A swarm that moves ``obeys(interval)`` times its share, beside takers of the budget."""
    clock = asyncio.get_running_loop().time
    shares: list[int] = []
    governor = Governor(LimitsConfig(upload=LIMIT), lambda up, _: shares.append(up), clock=clock)
    governor.start()
    taken = 0

    async def take() -> None:
        nonlocal taken
        while True:
            await governor.upload.take(CHUNK)
            taken += CHUNK
            await asyncio.sleep(taker_pause_s)

    tasks = [asyncio.create_task(take()) for _ in range(takers)]
    sent = 0.0
    for interval in range(int(seconds / GOVERN_INTERVAL_S)):
        await asyncio.sleep(GOVERN_INTERVAL_S)
        sent += shares[-1] * GOVERN_INTERVAL_S * obeys(interval)
        governor.on_traffic(traffic(int(sent)))
    for task in tasks:
        task.cancel()
    return Outcome(
        swarm=sent / clock() / LIMIT,
        others=taken / clock() / LIMIT,
        least_share=min(shares) / LIMIT,
    )


def traffic(sent: int, received: int = 0) -> Traffic:
    return Traffic(sent=sent, received=received, sent_payload=sent, received_payload=received)


@pytest.mark.parametrize("error", [0.9, 0.95, 1.0, 1.1, 1.3])
def test_a_swarm_alone_gets_the_limit_even_if_it_obeys_badly(error: float) -> None:
    """libtorrent's own limiter is some percent off; over half a minute the node is not."""
    outcome = run_virtually(simulate(obeys=lambda _: error))
    assert outcome.all == pytest.approx(1, rel=0.05)


def test_bursts_are_made_up_for() -> None:
    """A swarm that moves twice its share for a second and nothing for the next stays in bounds."""
    outcome = run_virtually(simulate(obeys=lambda interval: 2.0 * (interval // 4 % 2)))
    assert 0.8 <= outcome.all <= 1.05


@pytest.mark.parametrize("takers", [1, 5])
def test_swarm_and_others_share_the_limit(takers: int) -> None:
    """When both want all they can get, together they get the limit, and each about a half."""
    outcome = run_virtually(simulate(obeys=lambda _: 1.0, takers=takers))
    assert outcome.all == pytest.approx(1, rel=0.05)
    assert 0.35 <= outcome.swarm <= 0.65


def test_the_swarm_gets_what_the_others_leave() -> None:
    """Others that take a tenth of the limit cost the swarm no more than that."""
    pause = CHUNK / (0.1 * LIMIT)
    outcome = run_virtually(simulate(obeys=lambda _: 1.0, takers=1, taker_pause_s=pause))
    assert outcome.others == pytest.approx(0.1, abs=0.03)
    assert outcome.all == pytest.approx(1, rel=0.07)


def test_an_idle_swarm_leaves_everything_to_the_others() -> None:
    """They get the whole limit."""
    outcome = run_virtually(simulate(obeys=lambda _: 0.0, takers=3))
    assert outcome.others == pytest.approx(1, rel=0.05)


def test_the_swarm_is_never_stopped() -> None:
    """However far over its share it was: a share of 0 would be no limit at all."""
    outcome = run_virtually(simulate(obeys=lambda interval: 20.0 if interval == 3 else 1.0))
    assert outcome.least_share >= 0.1


def test_an_idle_hour_does_not_earn_a_burst() -> None:
    """What was not used long ago is gone: at most a quarter more than the limit follows."""

    async def scenario() -> None:
        clock = asyncio.get_running_loop().time
        shares: list[int] = []
        governor = Governor(
            LimitsConfig(upload=LIMIT), lambda up, _: shares.append(up), clock=clock
        )
        governor.start()
        for _ in range(100):
            await asyncio.sleep(36)
            governor.on_traffic(traffic(0))
        assert max(shares) <= 1.25 * LIMIT

    run_virtually(scenario())


def test_without_limits_nothing_is_governed() -> None:
    """Both directions are free, and libtorrent is told once."""

    async def scenario() -> None:
        calls: list[tuple[int, int]] = []
        governor = Governor(LimitsConfig(), lambda up, down: calls.append((up, down)))
        governor.start()
        for step in range(10):
            governor.on_traffic(traffic(step * 10**9, step * 10**9))
        await governor.upload.take(10**12)
        assert calls == [(0, 0)]
        assert not governor.active

    run_virtually(scenario())


def test_the_directions_are_independent() -> None:
    """An upload limit says nothing about downloads."""

    async def scenario() -> None:
        calls: list[tuple[int, int]] = []
        clock = asyncio.get_running_loop().time
        limits = LimitsConfig(upload=LIMIT)
        governor = Governor(limits, lambda up, down: calls.append((up, down)), clock=clock)
        governor.start()
        await asyncio.sleep(1)
        governor.on_traffic(traffic(3 * LIMIT, 10**9))
        assert governor.active
        assert calls[0] == (LIMIT, 0)
        assert calls[-1][0] < LIMIT
        assert calls[-1][1] == 0
        await governor.download.take(10**12)

    run_virtually(scenario())
