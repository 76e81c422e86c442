"""Who may read what, and for how long the origin's word counts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from eagle_node.base.digest import digest_of
from eagle_node.base.errors import Denied, EagleError, Unavailable
from eagle_node.registry.access import Access, AccessMemory, Grant
from eagle_node.registry.authorizer import ANYBODY
from eagle_node.registry.names import BlobRef, Repository
from eagle_node.registry.upstream import BlobInfo

BLOB = BlobRef(Repository("r.test", "app"), digest_of(b"blob"))
SAME_BLOB_ELSEWHERE = BlobRef(Repository("r.test", "other"), BLOB.digest)
UNSIGNED, SIGNED, SIGNED_ANEW = (
    BlobRef(Repository("r.test", "models/a"), BLOB.digest, served_at=f"/models/a{query}")
    for query in ("", "?X-Amz-Signature=1", "?X-Amz-Signature=2")
)
DOWN = Unavailable("origin is down")


class Origin:
    """An origin in memory: answers what it is told to, and counts."""

    def __init__(self) -> None:
        self.answer: BlobInfo | EagleError = BlobInfo(size=4)
        self.own = False
        self.asked: list[tuple[BlobRef, str | None]] = []
        self.reached = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    async def reader(self, _: str, authorization: str | None) -> str | None:
        """As told, this node has credentials of its own, or not."""
        return ANYBODY if authorization is None and not self.own else authorization

    def written(self, repository: Repository) -> None:
        """Nothing is remembered here."""

    async def check_blob(self, blob: BlobRef, authorization: str | None) -> BlobInfo:
        """What `answer` says, once `open`."""
        self.asked.append((blob, authorization))
        self.reached.set()
        await self.open.wait()
        if isinstance(self.answer, EagleError):
            raise self.answer
        return self.answer


class Scene:
    """A service with its origin, and the time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.origin = Origin()
        self.memory = AccessMemory(300.0, 10.0, 3600.0, lambda: self.now, limit=8)
        self.access = Access(self.origin, self.memory)


@pytest.fixture
def scene() -> Scene:
    """Fresh, with an origin that says yes."""
    return Scene()


def no(status: int) -> Denied:
    """A refusal."""
    return Denied(f"answered {status}", status=status, code="X", challenge="Basic", retry_after="1")


async def test_a_yes_is_remembered_for_its_time(scene: Scene) -> None:
    """Asked once per five minutes, not once per request."""
    for _ in range(3):
        assert await scene.access.check(BLOB, None) == Grant(size=4)
    scene.now += 299.9
    await scene.access.check(BLOB, None)
    assert len(scene.origin.asked) == 1
    scene.now += 0.1
    await scene.access.check(BLOB, None)
    assert len(scene.origin.asked) == 2


async def test_a_word_is_for_one_reader_and_one_repository(scene: Scene) -> None:
    """Another token, no token, or another repository is another question."""
    scene.origin.own = True
    for blob in (BLOB, SAME_BLOB_ELSEWHERE):
        for authorization in (None, "", "none", "Bearer a", "Bearer b"):
            await scene.access.check(blob, authorization)
    assert len(scene.origin.asked) == 10


async def test_a_yes_to_a_signed_url_is_for_its_signature(scene: Scene) -> None:
    """Nobody has it who shows no signature, or another one; while the origin is down as well."""
    await scene.access.check(SIGNED, ANYBODY)
    scene.origin.answer = no(403)
    for other in (UNSIGNED, SIGNED_ANEW):
        with pytest.raises(Denied):
            await scene.access.check(other, ANYBODY)
    scene.origin.answer = DOWN
    scene.now += 301
    assert (await scene.access.check(SIGNED, ANYBODY)).stale
    for other in (UNSIGNED, SIGNED_ANEW):
        with pytest.raises(Unavailable):
            await scene.access.check(other, ANYBODY)


async def test_a_yes_to_a_url_is_none_to_the_repository_that_is_named_with_it(scene: Scene) -> None:
    """Another node names both, and may name any: the origin was asked for the URL."""
    await scene.access.check(replace(BLOB, served_at="/of/anybody"), ANYBODY)
    scene.origin.answer = no(403)
    for other in (BLOB, replace(BLOB, served_at="/private")):
        with pytest.raises(Denied):
            await scene.access.check(other, ANYBODY)


async def test_a_no_to_an_unsigned_url_is_not_for_a_signed_one(scene: Scene) -> None:
    """A signature is asked for, whatever was said to who had none."""
    scene.origin.answer = no(403)
    with pytest.raises(Denied):
        await scene.access.check(UNSIGNED, ANYBODY)
    scene.origin.answer = BlobInfo(size=4)
    assert await scene.access.check(SIGNED, ANYBODY) == Grant(size=4)


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_no_is_remembered_for_a_short_time(scene: Scene, status: int) -> None:
    """With everything that the client needs to do better; then the origin is asked again."""
    scene.origin.answer = no(status)
    for _ in range(3):
        with pytest.raises(Denied) as caught:
            await scene.access.check(BLOB, None)
        assert (caught.value.status, caught.value.challenge) == (status, "Basic")
    assert len(scene.origin.asked) == 1
    scene.now += 10
    scene.origin.answer = BlobInfo(size=None)
    assert await scene.access.check(BLOB, None) == Grant(size=None)


@pytest.mark.parametrize("trouble", [DOWN, no(429)])
async def test_while_the_origin_cannot_say_its_last_yes_counts(
    scene: Scene, trouble: EagleError
) -> None:
    """Up to the stale limit, and it is marked; then the trouble is the answer."""
    await scene.access.check(BLOB, None)
    scene.origin.answer = trouble
    scene.now += 301
    limited = isinstance(trouble, Denied)
    grant = await scene.access.check(BLOB, None)
    assert grant == Grant(size=4, age_s=301.0, stale=True, limited=limited)
    scene.now += 3299
    with pytest.raises(type(trouble)):
        await scene.access.check(BLOB, None)


async def test_nobody_gets_a_stale_grant_on_anothers_yes(scene: Scene) -> None:
    """An origin that is down opens nothing."""
    await scene.access.check(BLOB, "Bearer a")
    scene.origin.answer = DOWN
    with pytest.raises(Unavailable):
        await scene.access.check(BLOB, "Bearer b")


async def test_what_anybody_could_read_is_everybodys_while_the_origin_is_down(
    scene: Scene,
) -> None:
    """Who shows credentials could have shown none."""
    await scene.access.check(BLOB, None)
    scene.origin.answer = DOWN
    assert (await scene.access.check(BLOB, "Bearer b")).stale


async def test_what_a_node_may_read_itself_is_nobody_elses_while_the_origin_is_down(
    scene: Scene,
) -> None:
    """A reader who shows nothing has this node's own credentials; others, and strangers, have not.

    A reader on another node who shows nothing is anybody.
    """
    scene.origin.own = True
    await scene.access.check(BLOB, None)
    scene.origin.answer = DOWN
    scene.now += 301
    assert (await scene.access.check(BLOB, None)).stale
    for other in (ANYBODY, "Bearer b"):
        with pytest.raises(Unavailable):
            await scene.access.check(BLOB, other)


async def test_a_word_from_elsewhere_counts_from_when_it_was_said(scene: Scene) -> None:
    """However many hands it has gone through, a yes ends after the same time."""
    scene.origin.answer = BlobInfo(size=4, age_s=299.0)
    assert (await scene.access.check(BLOB, None)).age_s == 299.0
    scene.now += 2
    await scene.access.check(BLOB, None)
    assert len(scene.origin.asked) == 2


async def test_a_fetch_under_way_answers_for_its_own_reader(scene: Scene) -> None:
    """Who checks the same right waits for it and is not asked for; anybody else is."""
    opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    hurried = asyncio.Event()
    scene.access.prove(BLOB, "Bearer a", opened, hurried.set, lambda: 0.0)
    waiting = asyncio.create_task(scene.access.check(BLOB, "Bearer a"))
    await hurried.wait()
    await scene.access.check(BLOB, "Bearer b")
    opened.set_result(None)
    assert not (await waiting).stale
    assert scene.origin.asked == [(BLOB, "Bearer b")]


async def test_a_fetch_by_way_of_another_node_rests_on_an_older_word(scene: Scene) -> None:
    """The yes ends when it would have ended there, and an old one counts in outages only."""
    for age_s, fresh in ((299.0, True), (3000.0, False)):
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        reader = f"Bearer {age_s}"
        scene.access.prove(BLOB, reader, opened, lambda: None, partial(float, age_s))
        opened.set_result(None)
        await asyncio.sleep(0)
        scene.origin.answer = DOWN
        grant = await scene.access.check(BLOB, reader)
        assert (grant.age_s, grant.stale) == (age_s, not fresh)
        scene.now += 3600 - age_s
        with pytest.raises(Unavailable):
            await scene.access.check(BLOB, reader)


async def test_a_fetch_does_not_wait_for_itself(scene: Scene) -> None:
    """One that brings the bytes from elsewhere has to ask the origin for the right."""
    opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    scene.access.prove(BLOB, "Bearer a", opened, lambda: None, lambda: 0.0)
    async with asyncio.timeout(5):
        await scene.access.check(BLOB, "Bearer a", proving=True)
    assert scene.origin.asked == [(BLOB, "Bearer a")]


async def test_a_fetch_that_fails_proves_nothing(scene: Scene) -> None:
    """Then the origin is asked."""
    opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    scene.access.prove(BLOB, ANYBODY, opened, lambda: None, lambda: 0.0)
    waiting = asyncio.create_task(scene.access.check(BLOB, ANYBODY))
    opened.set_exception(DOWN)
    await waiting
    assert scene.origin.asked == [(BLOB, ANYBODY)]


async def test_a_no_ends_the_yes_for_good(scene: Scene) -> None:
    """Rights that were taken away do not come back when the origin goes down."""
    await scene.access.check(BLOB, None)
    scene.now += 301
    scene.origin.answer = no(403)
    with pytest.raises(Denied):
        await scene.access.check(BLOB, None)
    scene.now += 11
    scene.origin.answer = DOWN
    with pytest.raises(Unavailable):
        await scene.access.check(BLOB, None)


async def test_a_fault_is_not_remembered(scene: Scene) -> None:
    """The next request asks again: rate limits and outages say nothing about rights."""
    for trouble in (DOWN, no(429), no(416)):
        scene.origin.answer = trouble
        with pytest.raises(type(trouble)):
            await scene.access.check(BLOB, None)
    scene.origin.answer = BlobInfo(size=4)
    assert await scene.access.check(BLOB, None) == Grant(size=4)


async def test_a_successful_fetch_is_a_yes(scene: Scene) -> None:
    """No question after the origin has just delivered; a size that was known stays."""
    scene.access.remember_yes(BLOB, "Bearer a", size=7)
    scene.access.remember_yes(BLOB, "Bearer a")
    assert await scene.access.check(BLOB, "Bearer a") == Grant(size=7)
    assert scene.origin.asked == []


async def test_many_who_ask_at_once_are_one_question(scene: Scene) -> None:
    """A wave on one host costs the origin one request."""
    scene.origin.open.clear()
    async with asyncio.TaskGroup() as group:
        checks = [group.create_task(scene.access.check(BLOB, None)) for _ in range(5)]
        await scene.origin.reached.wait()
        scene.origin.open.set()
    assert {check.result() for check in checks} == {Grant(size=4)}
    assert len(scene.origin.asked) == 1


async def test_the_memory_is_bounded(scene: Scene) -> None:
    """The least recently used word goes first."""
    await scene.access.check(BLOB, None)
    for number in range(7):
        await scene.access.check(BLOB, f"Bearer {number}")
    await scene.access.check(BLOB, None)
    await scene.access.check(BLOB, "Bearer new")
    assert len(scene.memory) == 8
    asked = len(scene.origin.asked)
    await scene.access.check(BLOB, None)
    assert len(scene.origin.asked) == asked
    await scene.access.check(BLOB, "Bearer 0")
    assert len(scene.origin.asked) == asked + 1


def test_a_key_tells_nothing_about_a_credential(scene: Scene) -> None:
    """Hashed with a salt of the process, so a memory dump cannot be compared with known tokens."""
    other = AccessMemory(1, 1, 1)
    assert scene.memory.key(BLOB, "Bearer a") != other.key(BLOB, "Bearer a")
    assert scene.memory.key(BLOB, "Bearer a").find(b"Bearer") == -1
