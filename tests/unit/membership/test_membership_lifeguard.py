"""Lifeguard's refinements, rule by rule; sections are those of the paper of 2018."""

from __future__ import annotations

import pytest

from eagle_node.membership.health import LocalHealth
from eagle_node.membership.member import State, Suspect
from eagle_node.membership.suspicion import Suspicion
from eagle_node.membership.timings import Timings
from eagle_node.membership.wire import Ack, Nack, Ping, PingReq
from tests.unit.membership.builders import OWN, Bench, address, alive, node_id

QUICK = Timings(probe_interval_s=1.0, ack_timeout_s=0.5, probe_timeout_s=1.5)


def suspicion(wanted: int) -> Suspicion:
    """One accuser, patience from 3 to 9 s."""
    return Suspicion(wanted=wanted, least_s=3.0, most_s=9.0, accusers=[node_id(1)], now=0.0)


# Section 4.A: local health aware probes


def test_the_multiplier_has_bounds() -> None:
    """4.A: the local health multiplier stays between 0 and S."""
    health = LocalHealth(3)
    health.improve()
    assert (health.score, health.factor) == (0, 1)
    health.worsen(9)
    assert (health.score, health.factor) == (3, 4)


def test_a_helper_without_an_answer_sends_a_nack() -> None:
    """4.A: who was asked to ping and gets no ack says so before the asker's time is over."""
    bench = Bench(2, timings=Timings(probe_interval_s=1e6))
    bench.hear(1, message=PingReq(77, node_id(2), address(2)))
    bench.run(0.39)
    assert bench.messages(Nack) == []
    bench.run(0.02)
    ((_, nack),) = bench.messages(Nack)
    assert (nack.to, nack.packet.message) == (address(1), Nack(77))


@pytest.mark.parametrize(("nacks", "health"), [(3, 0), (1, 2), (0, 3)])
def test_missing_nacks_worsen_the_health(nacks: int, health: int) -> None:
    """4.A: helpers that send neither ack nor nack point at this member's own health."""
    bench = Bench(4, timings=QUICK)
    while not bench.messages(PingReq):
        bench.run(0.01)
    requests = [send for _, send in bench.messages(PingReq)]
    for send in requests[:nacks]:
        assert isinstance(send.packet.message, PingReq)
        number = next(n for n in range(1, 5) if address(n) == send.to)
        bench.hear(number, message=Nack(send.packet.message.nonce))
    while not any(bench.state(n) is State.SUSPECT for n in range(1, 5)):
        bench.run(0.01)
    assert bench.machine.health == health


def test_an_answered_probe_improves_the_health() -> None:
    """4.A: each successful probe takes one off."""
    bench = Bench(1, timings=QUICK)
    bench.hear(1, Suspect(OWN, 1, (node_id(5),)))
    assert bench.machine.health == 1
    while not bench.messages(Ping):
        bench.run(0.01)
    _, ping = bench.messages(Ping)[-1]
    assert isinstance(ping.packet.message, Ping)
    bench.hear(1, message=Ack(ping.packet.message.nonce))
    assert bench.machine.health == 0


def test_a_refuted_suspicion_worsens_the_health() -> None:
    """4.A: others suspect this member for a reason: it may be slow."""
    bench = Bench(2)
    bench.hear(1, Suspect(OWN, 1, (node_id(2),)))
    bench.hear(1, Suspect(OWN, 2, (node_id(2),)))
    assert bench.machine.health == 2


def test_probes_slow_down_with_the_health() -> None:
    """4.A: interval and time-outs are multiplied with LHM + 1."""
    bench = Bench(1, timings=QUICK)
    for incarnation in range(1, 4):
        bench.hear(1, Suspect(OWN, incarnation, (node_id(2),)))
    while not bench.messages(Ping):
        bench.run(0.01)
    start = bench.messages(Ping)[0][0]
    bench.run(4 * 1.5 - 0.05)
    assert bench.state(1) is State.ALIVE
    assert [round(at - start, 3) for at, _ in bench.messages(Ping)] == [0, 4.0]
    bench.run(0.1)
    assert bench.state(1) is State.SUSPECT


# Section 4.B: local health aware suspicion


def test_patience_shrinks_with_each_independent_accuser() -> None:
    """4.B: max - (max - min) log(C + 1) / log(K + 1), from the start of the suspicion."""
    one = suspicion(3)
    assert one.due == pytest.approx(9.0)
    assert one.confirm([node_id(2)])
    assert one.due == pytest.approx(6.0)
    assert one.confirm([node_id(3)])
    assert one.due == pytest.approx(9 - 6 * 0.7925, abs=1e-3)
    assert one.confirm([node_id(4)])
    assert one.due == pytest.approx(3.0)


def test_an_accuser_counts_once_and_k_are_enough() -> None:
    """4.B: the same accuser again, or one more than K, changes nothing and is not spread on."""
    one = suspicion(1)
    assert not one.confirm([node_id(1)])
    assert one.confirm([node_id(2)])
    assert not one.confirm([node_id(3)])


def test_without_others_to_confirm_the_least_patience_holds() -> None:
    """4.B: where nobody else could confirm, there is nothing to wait for."""
    assert suspicion(0).due == 3.0


def test_new_accusers_are_spread_on() -> None:
    """4.B: the first K independent suspicions are re-gossiped, with all accusers known."""
    bench = Bench(9, timings=Timings(probe_interval_s=1e6))
    bench.run(30)
    for accuser in range(5, 10):
        bench.sent.clear()
        bench.hear(1, Suspect(node_id(2), 1, (node_id(accuser),)))
        bench.run(0.25)
        told = [update for update in bench.updates() if isinstance(update, Suspect)]
        wanted = tuple(map(node_id, range(5, min(accuser, 8) + 1)))
        if accuser < 9:
            assert told[0].accusers == wanted


# Section 4.C: buddy system


def test_a_suspect_hears_it_with_the_next_ping() -> None:
    """4.C: a ping to a suspected member carries the suspicion, before any other update."""
    bench = Bench(1)
    bench.run(0.01)
    bench.hear(5, Suspect(node_id(1), 1, (node_id(5),)))
    bench.run(0.6)
    pings = [send for _, send in bench.messages(Ping) if send.packet.updates]
    assert pings[-1].packet.updates[0] == Suspect(node_id(1), 1, (node_id(5),))


# Beyond the paper: a process that stood still


def test_a_process_that_stood_still_blames_nobody() -> None:
    """Deadlines move by the time that this process could not hear; its health gets worse."""
    bench = Bench(2, timings=QUICK)
    while not bench.messages(Ping):
        bench.run(0.01)
    bench.stall(60.0)
    assert bench.machine.health == 1
    assert [bench.state(n) for n in (1, 2)] == [State.ALIVE] * 2
    bench.run(0.4)
    assert [bench.state(n) for n in (1, 2)] == [State.ALIVE] * 2


def test_a_suspect_keeps_its_time_through_a_stall() -> None:
    """A suspicion that was due while this process stood still is not over: a refutation waits."""
    bench = Bench(1, timings=Timings(probe_interval_s=1e6))
    bench.hear(5, Suspect(node_id(1), 1, (node_id(5),)))
    bench.run(1.0)
    bench.stall(60.0)
    assert bench.state(1) is State.SUSPECT
    bench.hear(5, alive(1, 2))
    assert bench.state(1) is State.ALIVE
