"""Which registries are left alone, for whom, and for how long."""

from __future__ import annotations

import pytest

from eagle_node.base.errors import Denied, Silent, Unavailable
from eagle_node.registry.circuit import FIRST_PATIENCE_S, FIRST_PAUSE_S, Turn
from eagle_node.registry.health_policy import (
    DOUBT_S,
    FORGET_S,
    MOST_WAIT_S,
    RegistryHealth,
    retry_after_s,
)

NAME = "r.test"
ALICE, BOB = "Basic a", "Basic b"


class Scene:
    """What is known, and the time."""

    def __init__(self) -> None:
        self.now = 50.0
        self.health = RegistryHealth(lambda: self.now)

    def admitted(self, reader: str | None, registry: str = NAME) -> bool:
        """Whether the registry may be asked for a reader."""
        try:
            self.health.admit(registry, reader)
        except (Denied, Unavailable):
            return False
        return True

    def silent(self) -> None:
        """It is asked twice in vain, just now."""
        for _ in range(2):
            turn = self.health.admit(NAME, ALICE)
            self.now += 3
            self.health.failed(NAME, ALICE, Silent("nothing came"), turn)

    @property
    def as_ever(self) -> Turn:
        """The leave that is given while nothing is wrong."""
        return Turn(asked_at=self.now)


@pytest.fixture
def scene() -> Scene:
    """Nothing is known."""
    return Scene()


def test_a_reader_who_was_told_to_wait_waits(scene: Scene) -> None:
    """To the second; he is told how long."""
    scene.health.answered(NAME, ALICE, 429, {"Retry-After": "30"})
    scene.now += 29.5
    with pytest.raises(Denied, match=r"r\.test answered 429; it is asked again in 1 s") as caught:
        scene.health.admit(NAME, ALICE)
    assert (caught.value.status, caught.value.retry_after) == (429, "1")
    scene.now += 0.5
    assert scene.admitted(ALICE)


def test_a_limit_is_one_readers_at_one_registry(scene: Scene) -> None:
    """Nobody is locked out by another's appetite."""
    scene.health.answered(NAME, ALICE, 429, {"Retry-After": "30"})
    assert not scene.admitted(ALICE)
    assert scene.admitted(BOB)
    assert scene.admitted(None)
    assert scene.admitted(ALICE, "other.test")


def test_who_shows_nothing_is_one_reader(scene: Scene) -> None:
    """Whether asked for by this node's clients or by another node."""
    scene.health.answered(NAME, None, 429, {"Retry-After": "30"})
    assert not scene.admitted("")


def test_a_pause_of_a_503_is_kept_as_well(scene: Scene) -> None:
    """It is a fault, not a refusal."""
    scene.health.answered(NAME, None, 503, {"Retry-After": "30"})
    with pytest.raises(Unavailable, match="answered 503"):
        scene.health.admit(NAME, None)


@pytest.mark.parametrize("status", [200, 401, 404, 429, 500, 503])
def test_without_a_time_nobody_waits(scene: Scene, status: int) -> None:
    """The next request may fare better."""
    scene.health.answered(NAME, None, status, {})
    assert scene.admitted(None)


def test_a_limit_of_the_token_service_is_the_registrys(scene: Scene) -> None:
    """There is no way around it."""
    refusal = Denied("slow", status=429, code="X", retry_after="7")
    scene.health.failed(NAME, ALICE, refusal, scene.health.begin())
    assert not scene.admitted(ALICE)
    scene.now += 7
    assert scene.admitted(ALICE)


@pytest.mark.parametrize(
    ("value", "date", "wait_s"),
    [
        ("0", "", 0.0),
        ("120", "", 120.0),
        ("99999999999", "", MOST_WAIT_S),
        ("-5", "", 0.0),
        ("soon", "", 0.0),
        ("", "", 0.0),
        ("Sat, 21 Nov 2026 10:00:30 GMT", "Sat, 21 Nov 2026 10:00:00 GMT", 30.0),
        ("Sat, 21 Nov 2026 10:00:00 GMT", "Sat, 21 Nov 2026 10:00:30 GMT", 0.0),
        ("Sat, 21 Nov 2026 10:00:00 GMT", "", 0.0),
        ("Sat, 21 Nov 2026 10:00:00 GMT", "Sat, 21 Nov 2026 10:00:00 -0000", 0.0),
    ],
)
def test_both_forms_of_retry_after_are_read(value: str, date: str, wait_s: float) -> None:
    """RFC 9110 10.2.3; a date by the clock of the server that wrote it."""
    assert retry_after_s({"Retry-After": value, "Date": date}) == wait_s


def test_a_silent_registry_is_left_alone_by_all(scene: Scene) -> None:
    """For a while, so that only one client in it waits, and not for long."""
    scene.silent()
    with pytest.raises(Silent, match="nothing came; it is asked again in 5 s"):
        scene.health.admit(NAME, BOB)
    scene.now += FIRST_PAUSE_S
    turn = scene.health.admit(NAME, BOB)
    assert turn.patience_s == FIRST_PATIENCE_S
    with pytest.raises(Silent, match="nothing came; it is being asked again"):
        scene.health.admit(NAME, ALICE)
    scene.health.answered(NAME, BOB, 404, {})
    assert scene.health.admit(NAME, ALICE) == scene.as_ever
    assert scene.health.troubles() == []


def test_one_question_too_hard_is_no_silence(scene: Scene) -> None:
    """While others are answered, a list that takes too long to make is its own trouble."""
    turns = [scene.health.admit(NAME, ALICE) for _ in range(3)]
    scene.now += 15
    scene.health.answered(NAME, BOB, 200, {})
    for turn in turns:
        scene.health.failed(NAME, ALICE, Silent("nothing came"), turn)
    assert scene.health.admit(NAME, BOB) == scene.as_ever


def test_who_leaves_before_the_answer_leaves_the_question_to_the_next(scene: Scene) -> None:
    """A client that hangs up says nothing of the registry."""
    scene.silent()
    scene.now += FIRST_PAUSE_S
    scene.health.given_up(NAME, scene.health.admit(NAME, BOB))
    assert scene.admitted(ALICE)


@pytest.mark.parametrize(
    "error",
    [Unavailable("refused"), Denied("no token", status=401, code="X")],
    ids=["fault", "refusal"],
)
def test_whoever_says_something_is_not_silent(scene: Scene, error: Unavailable | Denied) -> None:
    """Neither a refused connection nor a token service's no costs time."""
    scene.silent()
    scene.now += FIRST_PAUSE_S
    scene.health.failed(NAME, BOB, error, scene.health.admit(NAME, BOB))
    assert scene.admitted(ALICE)
    assert scene.admitted(BOB)


@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_ends_the_silence(scene: Scene, status: int) -> None:
    """Whatever it says, and whoever has asked."""
    scene.silent()
    scene.health.answered(NAME, ALICE, status, {})
    assert scene.health.admit(NAME, BOB) == scene.as_ever


def test_another_nodes_word_makes_for_little_patience(scene: Scene) -> None:
    """It may be that node's own trouble: everybody may ask, and an answer ends the doubt."""
    scene.health.doubt(NAME)
    for _ in range(2):
        turn = scene.health.admit(NAME, ALICE)
        assert turn.patience_s == FIRST_PATIENCE_S
        assert not turn.is_probe
    assert scene.health.troubles() == []
    scene.now += DOUBT_S
    assert scene.health.admit(NAME, ALICE) == scene.as_ever
    scene.health.doubt(NAME)
    scene.health.answered(NAME, BOB, 401, {})
    assert scene.health.admit(NAME, ALICE) == scene.as_ever


def test_an_answer_to_another_node_ends_the_trouble(scene: Scene) -> None:
    """If it is newer than the trouble; this node may ask again, and tells of none meanwhile."""
    scene.silent()
    scene.now += 3
    scene.health.vouch(NAME, 3.0)
    assert not scene.admitted(ALICE)
    scene.health.vouch(NAME, 2.0)
    assert scene.admitted(ALICE)
    assert scene.health.troubles() == []


def test_other_faults_keep_nobody_from_asking(scene: Scene) -> None:
    """A refused connection costs no time."""
    scene.health.failed(NAME, None, Unavailable("refused"), scene.health.begin())
    assert scene.admitted(None)


def test_what_nobody_asks_any_more_is_forgotten(scene: Scene) -> None:
    """A mistyped name is in trouble for ever otherwise; one that is asked stays."""
    for name in ("mistyped.test", NAME):
        scene.health.failed(name, None, Unavailable("does not resolve"), scene.health.begin())
    scene.now += FORGET_S - 1
    scene.health.failed(NAME, None, Unavailable("does not resolve"), scene.health.begin())
    assert len(scene.health.troubles()) == 2
    scene.now += 1
    [trouble] = scene.health.troubles()
    assert (trouble.registry, trouble.for_s) == (NAME, FORGET_S)
    scene.now += FORGET_S
    assert scene.health.troubles() == []


def test_trouble_is_told_until_it_is_over(scene: Scene) -> None:
    """With its latest reason and since when; a client's own mistakes are none."""
    scene.health.failed(NAME, None, Unavailable("refused"), scene.health.begin())
    scene.now += 10
    scene.health.answered(NAME, None, 503, {"Retry-After": "20"})
    scene.health.answered("other.test", None, 404, {})
    [trouble] = scene.health.troubles()
    assert (trouble.registry, trouble.reason) == (NAME, "registry r.test answers 503")
    assert (trouble.for_s, trouble.retry_in_s) == (10.0, 20.0)
    scene.health.answered(NAME, BOB, 401, {})
    assert scene.health.troubles() == []


def test_what_is_noted_is_bounded(scene: Scene) -> None:
    """Names and credentials come from outside."""
    for number in range(5000):
        scene.health.answered(f"r{number}", f"Basic {number}", 429, {"Retry-After": "30"})
        scene.health.doubt(f"r{number}")
    scene.health.check()
    assert not scene.admitted("Basic 4999", "r4999")
