"""How much may be under way to a node."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from eagle_node.swarm.events import Traffic
from eagle_node.swarm.window import ReceiveWindow

NEAR, FAR = "10.0.0.1", "10.9.0.1"


@dataclass
class Story:
    """A node that downloads, second after second."""

    now: float = 100.0
    received: int = 0
    applied: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.window = ReceiveWindow(self.applied.append, clock=lambda: self.now)

    def download(self, rate: float, *, seconds: int = 1) -> None:
        for _ in range(seconds):
            self.now += 1
            self.received += int(rate)
            self.window.on_traffic(
                Traffic(sent=0, received=self.received, sent_payload=0, received_payload=0)
            )


def story(*hosts: str, round_trip_s: float = 0.0002) -> Story:
    told = Story()
    told.window.draws_on(told, hosts)
    for host in hosts:
        told.window.measured(host, round_trip_s)
    return told


def test_the_kernel_decides_while_nothing_is_known() -> None:
    """Neither a rate alone nor a round trip alone bounds anything."""
    told = story(NEAR)
    assert told.window.size == 0
    stranger = Story()
    assert stranger.window.draws_on(stranger, [NEAR]) == {NEAR}
    stranger.download(2.5e6, seconds=3)
    assert stranger.applied == []


def test_a_slow_link_gets_a_small_window() -> None:
    """At 20 Mbit/s 146 KiB are 60 ms of queue."""
    told = story(NEAR)
    told.download(2.5e6, seconds=3)
    assert told.applied == [pytest.approx(2.5e6 * 0.0604, abs=1)]


def test_a_very_slow_link_still_gets_blocks() -> None:
    """Less than a block under way would stop and go."""
    told = story(NEAR)
    told.download(100e3)
    assert told.applied == [32 << 10]


def test_a_fast_link_is_the_kernels_affair() -> None:
    """What is asked for explicitly is bounded far below what the kernel chooses itself."""
    told = story(NEAR)
    told.download(2.5e6)
    told.download(100e6)
    assert told.applied[1:] == [0]


def test_far_parents_are_not_held_down() -> None:
    """Twice the round trip fits in, so that the rate can grow until the link is full."""
    told = story(FAR, round_trip_s=0.03)
    told.download(1e6)
    assert told.window.size >= 2 * 0.03 * 1e6
    further = story(FAR, round_trip_s=0.1)
    further.download(1e6)
    assert further.window.size == 0


def test_the_farthest_parent_counts() -> None:
    """One window is for all connections; who is not drawn on any more does not count."""
    told = story(NEAR)
    told.download(1e6)
    near = told.window.size
    other = object()
    assert told.window.draws_on(other, [FAR]) == {FAR}
    told.window.measured(FAR, 0.03)
    assert told.window.size > near
    told.window.released(other)
    told.download(1e6)
    assert told.window.size == near


def test_blobs_that_come_at_once_share_the_queue() -> None:
    """Each has connections of its own."""
    told = story(NEAR)
    other = object()
    told.window.draws_on(other, [NEAR])
    told.download(2.5e6)
    both = told.window.size
    told.window.released(other)
    told.download(2.5e6)
    assert told.window.size == pytest.approx(2 * both, rel=0.1)


def test_a_round_trip_through_a_full_queue_is_not_believed() -> None:
    """The shortest one counts, whenever it was measured."""
    told = story(NEAR)
    told.window.measured(NEAR, 0.09)
    told.download(2.5e6)
    assert told.window.size == pytest.approx(2.5e6 * 0.0604, abs=1)


def test_a_pause_does_not_shrink_the_window() -> None:
    """Who waits for a parent learns nothing of the link; who is slow for long does."""
    told = story(NEAR)
    told.download(2.5e6)
    before = told.window.size
    told.download(0, seconds=60)
    assert told.window.size == before
    told.download(2.0e6, seconds=60)
    assert told.window.size == pytest.approx(2.0e6 * 0.0604, rel=0.1)


def test_small_changes_are_not_worth_a_setting() -> None:
    """Rates are never quite the same."""
    told = story(NEAR)
    for number in range(20):
        told.download(2.5e6 + 1e5 * (number % 2))
    assert len(told.applied) == 1
