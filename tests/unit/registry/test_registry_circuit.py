"""When a registry that was silent is asked again, and with how much patience."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eagle_node.registry.circuit import (
    FIRST_PATIENCE_S,
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    NO_PROBE,
    Circuit,
    Turn,
)


def opened(now: float = 0.0) -> Circuit:
    """After a silence."""
    circuit = Circuit()
    circuit.silent(NO_PROBE, now)
    return circuit


def probe(circuit: Circuit, now: float) -> Turn:
    """A question that is let through."""
    turn = circuit.ask(now)
    assert turn is not None
    return turn


def test_everybody_asks_until_there_is_silence() -> None:
    """Without waiting for each other."""
    circuit = Circuit()
    assert [circuit.ask(0.0) for _ in range(3)] == [NO_PROBE] * 3
    circuit.silent(NO_PROBE, 0.0)
    assert circuit.ask(FIRST_PAUSE_S - 0.1) is None


def test_one_asks_at_a_time() -> None:
    """The others are not kept waiting for it."""
    circuit = opened()
    assert probe(circuit, FIRST_PAUSE_S).is_probe
    assert circuit.ask(FIRST_PAUSE_S) is None
    assert circuit.ask(1e9) is None


def test_pauses_and_patience_grow() -> None:
    """Twice as long each time; the pause has a limit, patience that of any question."""
    circuit, now = opened(), 0.0
    pauses, patiences = [], []
    for _ in range(5):
        pauses.append(circuit.wait_s(now))
        now += circuit.wait_s(now)
        turn = probe(circuit, now)
        patiences.append(turn.patience_s)
        circuit.silent(turn, now)
    assert pauses == [FIRST_PAUSE_S, FIRST_PAUSE_S * 2, FIRST_PAUSE_S * 4, *[LONGEST_PAUSE_S] * 2]
    assert patiences == [FIRST_PATIENCE_S * 2**n for n in range(5)]


def test_questions_that_were_under_way_count_once() -> None:
    """A wave that meets a silence together does not make it longer."""
    circuit = opened()
    for _ in range(20):
        circuit.silent(NO_PROBE, 1.0)
    assert circuit.wait_s(1.0) == FIRST_PAUSE_S - 1.0
    assert probe(circuit, FIRST_PAUSE_S).patience_s == FIRST_PATIENCE_S


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ask", "silent", "given up", "answered"]),
            st.integers(0, 5),
            st.floats(0, 40),
        )
    )
)
def test_there_is_never_more_than_one_probe(steps: list[tuple[str, int, float]]) -> None:
    """Whatever comes of questions, in whatever order; and the wait is bounded."""
    circuit, now = Circuit(), 0.0
    turns: list[Turn] = []
    for what, which, pause in steps:
        now += pause
        if what == "ask":
            turn = circuit.ask(now)
            if turn is not None:
                assert not (turn.is_probe and any(each.is_probe for each in turns))
                turns.append(turn)
        elif turns:
            turn = turns.pop(which % len(turns))
            if what == "silent":
                circuit.silent(turn, now)
            elif what == "given up":
                circuit.given_up(turn)
            else:
                circuit.answered()
                turns = [each for each in turns if not each.is_probe]
        circuit.check()
        assert 0.0 <= circuit.wait_s(now) <= LONGEST_PAUSE_S
