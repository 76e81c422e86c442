"""When a registry that was silent is asked again, and with how much patience."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eagle_node.registry.circuit import (
    FIRST_PATIENCE_S,
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    Circuit,
    Turn,
)


def asked(circuit: Circuit, now: float) -> Turn:
    """A question that is let through."""
    turn = circuit.ask(now)
    assert turn is not None
    return turn


def opened() -> Circuit:
    """After two silences, the second one at 0."""
    circuit = Circuit()
    circuit.silent(asked(circuit, -9.0), -6.0)
    circuit.silent(asked(circuit, -3.0), 0.0)
    return circuit


def test_everybody_asks_until_there_is_silence() -> None:
    """Without waiting for each other; after the first one with little patience."""
    circuit = Circuit()
    assert {asked(circuit, 0.0).patience_s for _ in range(3)} == {None}
    circuit.silent(asked(circuit, 0.0), 15.0)
    assert {asked(circuit, 15.0).patience_s for _ in range(3)} == {FIRST_PATIENCE_S}
    circuit.silent(asked(circuit, 15.0), 18.0)
    assert circuit.ask(18.0 + FIRST_PAUSE_S - 0.1) is None


def test_one_asks_at_a_time() -> None:
    """The others are not kept waiting for it."""
    circuit = opened()
    assert asked(circuit, FIRST_PAUSE_S).is_probe
    assert circuit.ask(FIRST_PAUSE_S) is None
    assert circuit.ask(1e9) is None


def test_pauses_and_patience_grow() -> None:
    """Twice as long each time; the pause has a limit, patience that of any question."""
    circuit, now = opened(), 0.0
    pauses, patiences = [], []
    for _ in range(5):
        pauses.append(circuit.wait_s(now))
        now += circuit.wait_s(now)
        turn = asked(circuit, now)
        patiences.append(turn.patience_s)
        circuit.silent(turn, now)
    assert pauses == [FIRST_PAUSE_S, FIRST_PAUSE_S * 2, FIRST_PAUSE_S * 4, *[LONGEST_PAUSE_S] * 2]
    assert patiences == [FIRST_PATIENCE_S * 2**n for n in range(5)]


def test_questions_that_were_under_way_count_once() -> None:
    """A wave that meets a silence together neither brings it about nor makes it longer."""
    circuit = Circuit()
    wave = [asked(circuit, 0.0) for _ in range(20)]
    for turn in wave:
        circuit.silent(turn, 15.0)
    assert asked(circuit, 15.0).patience_s == FIRST_PATIENCE_S
    circuit.silent(asked(circuit, 15.0), 18.0)
    circuit.silent(wave[0], 19.0)
    assert circuit.wait_s(18.0) == FIRST_PAUSE_S


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
