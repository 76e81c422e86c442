"""Which registries are left alone, for whom, and for how long."""

from __future__ import annotations

import pytest

from eagle_node.base.errors import Denied, Unavailable
from eagle_node.registry.health_policy import (
    MOST_WAIT_S,
    SILENT_S,
    NoConnection,
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
    scene.health.failed(NAME, ALICE, refusal)
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


def test_a_registry_that_is_not_there_is_left_alone_by_all(scene: Scene) -> None:
    """For a moment, so that only one client in it waits for a connection."""
    scene.health.failed(NAME, ALICE, NoConnection("nobody accepts connections"))
    with pytest.raises(Unavailable, match="nobody accepts connections; it is asked again in 5 s"):
        scene.health.admit(NAME, BOB)
    scene.now += SILENT_S
    assert scene.admitted(BOB)


def test_other_faults_keep_nobody_from_asking(scene: Scene) -> None:
    """A refused connection costs no time."""
    scene.health.failed(NAME, None, Unavailable("refused"))
    assert scene.admitted(None)


def test_trouble_is_told_until_it_is_over(scene: Scene) -> None:
    """With its latest reason and since when; a client's own mistakes are none."""
    scene.health.failed(NAME, None, Unavailable("refused"))
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
    scene.health.check()
    assert not scene.admitted("Basic 4999", "r4999")
