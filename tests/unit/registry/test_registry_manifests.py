"""What is remembered of manifests, for whom, and for how long."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from eagle_node.base.digest import digest_of
from eagle_node.base.errors import Denied, EagleError, Unavailable, WrongContent
from eagle_node.registry.access import AccessMemory
from eagle_node.registry.authorizer import ANYBODY
from eagle_node.registry.manifest_question import ManifestAnswer, ManifestQuestion
from eagle_node.registry.manifest_store import ManifestStore
from eagle_node.registry.manifests import Manifests
from eagle_node.registry.names import Repository, Tag

BODY = b"{}"
DIGEST = digest_of(BODY)
ANSWER = ManifestAnswer(digest=DIGEST, media_type="a/b", size=2, body=BODY)
TAG = ManifestQuestion(repository=Repository("r.test", "app"), reference=Tag("v1"), method="GET")
HEAD = replace(TAG, method="HEAD")
BY_DIGEST = replace(TAG, reference=DIGEST)


class Registry:
    """A source that says what it is told to say."""

    def __init__(self) -> None:
        self.answer: ManifestAnswer | EagleError = ANSWER
        self.asked: list[ManifestQuestion] = []
        self.changed: list[Repository] = []

    async def reader(self, _: str, authorization: str | None) -> str | None:
        """This node has no credentials of its own."""
        return ANYBODY if authorization is None else authorization

    def written(self, repository: Repository) -> None:
        self.changed.append(repository)

    async def manifest(self, asked: ManifestQuestion) -> ManifestAnswer:
        self.asked.append(asked)
        if isinstance(self.answer, EagleError):
            raise self.answer
        return self.answer


class Scene:
    """Manifests before a registry, and the time."""

    def __init__(self, store: ManifestStore, *, tag_ttl_s: float = 5.0) -> None:
        self.now = 1000.0
        self.registry = Registry()
        memory = AccessMemory(300.0, 10.0, 3600.0, lambda: self.now)
        self.manifests = Manifests(
            self.registry, store, memory, tag_ttl_s=tag_ttl_s, clock=lambda: self.now
        )

    async def get(self, asked: ManifestQuestion, reader: str | None = None) -> ManifestAnswer:
        """The answer to one reader."""
        return await self.manifests.get(replace(asked, authorization=reader))


@pytest.fixture
async def store() -> AsyncIterator[ManifestStore]:
    """In memory."""
    async with ManifestStore(None) as store:
        yield store


@pytest.fixture
def scene(store: ManifestStore) -> Scene:
    """A seeder's: it remembers tags for a moment."""
    return Scene(store)


async def test_a_tag_is_asked_for_once_in_its_time(scene: Scene) -> None:
    """With its age told; then again."""
    await scene.get(TAG)
    scene.now += 4
    assert (await scene.get(TAG)).age_s == 4
    assert len(scene.registry.asked) == 1
    scene.now += 1
    assert (await scene.get(TAG)).age_s == 0
    assert len(scene.registry.asked) == 2


async def test_each_reader_and_form_is_a_question_of_its_own(scene: Scene) -> None:
    """Another reader, other media types, or only the headers."""
    await scene.get(TAG)
    await scene.get(TAG, "Basic b")
    await scene.get(replace(TAG, accept=("c/d",)))
    await scene.get(HEAD)
    await scene.get(replace(TAG, reference=Tag("v2")))
    assert len(scene.registry.asked) == 5


async def test_a_reader_does_not_profit_from_anothers_yes(scene: Scene) -> None:
    """Neither by tag nor by digest, while the other's answer is remembered."""
    await scene.get(TAG, "Basic a")
    scene.registry.answer = Denied("no", status=403, code="DENIED")
    for asked in (TAG, BY_DIGEST, HEAD):
        with pytest.raises(Denied):
            await scene.get(asked, "Basic b")
        with pytest.raises(Denied):
            await scene.get(asked)
    assert (await scene.get(TAG, "Basic a")).body == BODY


async def test_a_refusal_is_remembered_as_briefly(scene: Scene) -> None:
    """A tag that is not there yet may be there soon; a limit is no word on the tag."""
    scene.registry.answer = Denied("unknown", status=404, code="MANIFEST_UNKNOWN")
    for _ in range(3):
        with pytest.raises(Denied):
            await scene.get(TAG)
    assert len(scene.registry.asked) == 1
    scene.now += 5
    scene.registry.answer = Denied("wait", status=429, code="TOOMANYREQUESTS")
    for _ in range(2):
        with pytest.raises(Denied):
            await scene.get(TAG)
    assert len(scene.registry.asked) == 3


async def test_a_fresh_question_is_always_asked(scene: Scene) -> None:
    """And its answer is for those who ask later."""
    await scene.get(BY_DIGEST)
    await scene.get(replace(TAG, fresh=True))
    await scene.get(replace(BY_DIGEST, fresh=True))
    assert len(scene.registry.asked) == 3


async def test_what_was_pushed_here_is_asked_for_anew(scene: Scene) -> None:
    """Tags and digests alike, whatever is remembered; others come from memory."""
    for asked in (TAG, BY_DIGEST, HEAD):
        await scene.get(asked)
    scene.manifests.written(TAG.repository, TAG.reference)
    scene.manifests.written(TAG.repository, DIGEST)
    for asked in (TAG, BY_DIGEST):
        await scene.get(asked)
    assert len(scene.registry.asked) == 4
    assert scene.registry.changed == [TAG.repository] * 2


async def test_a_node_remembers_no_tags(store: ManifestStore) -> None:
    """Else they would be as old as the memories of node and seeder together."""
    scene = Scene(store, tag_ttl_s=0.0)
    await scene.get(TAG)
    await scene.get(TAG)
    assert len(scene.registry.asked) == 2


async def test_a_yes_ends_when_it_was_said_to(scene: Scene) -> None:
    """An answer that was a memory already counts for the rest of its time."""
    scene.registry.answer = replace(ANSWER, age_s=298.0)
    await scene.get(BY_DIGEST)
    assert (await scene.get(BY_DIGEST)).age_s == 298.0
    scene.now += 6
    await scene.get(BY_DIGEST)
    assert len(scene.registry.asked) == 2


async def test_while_the_registry_cannot_say_its_last_word_counts(scene: Scene) -> None:
    """Within the limit, for those to whom it was said; the manifest comes from the store."""
    await scene.get(TAG, "Basic a")
    for trouble in (Unavailable("down"), Denied("wait", status=429, code="X")):
        scene.registry.answer = trouble
        scene.now += 400
        for asked in (TAG, BY_DIGEST, HEAD):
            answer = await scene.get(asked, "Basic a")
            assert (answer.body, answer.stale, answer.kept) == (BODY, True, True)
            assert answer.limited == isinstance(trouble, Denied)
            with pytest.raises(type(trouble)):
                await scene.get(asked, "Basic b")
    scene.now += 3600
    with pytest.raises(Denied):
        await scene.get(TAG, "Basic a")


async def test_an_old_word_from_elsewhere_is_no_news(scene: Scene) -> None:
    """It is kept with its age, and asked for again."""
    scene.registry.answer = replace(ANSWER, age_s=3000.0, stale=True)
    assert (await scene.get(TAG)).stale
    assert (await scene.get(TAG)).stale
    assert len(scene.registry.asked) == 2
    scene.registry.answer = Unavailable("down")
    scene.now += 500
    assert (await scene.get(TAG)).age_s == 3500
    scene.now += 500
    with pytest.raises(Unavailable):
        await scene.get(TAG)


@pytest.mark.parametrize(
    ("asked", "answer", "error"),
    [
        (BY_DIGEST, replace(ANSWER, body=b"other"), WrongContent),
        (BY_DIGEST, replace(ANSWER, digest=digest_of(b"x"), body=b"x"), WrongContent),
        (TAG, replace(ANSWER, body=b"other"), WrongContent),
        (TAG, replace(ANSWER, body=b""), Unavailable),
        (replace(BY_DIGEST, method="HEAD"), replace(ANSWER, digest=digest_of(b"x"), body=b""),
         WrongContent),
    ],
)  # fmt: skip
async def test_a_seeder_is_not_believed(
    scene: Scene, asked: ManifestQuestion, answer: ManifestAnswer, error: type[EagleError]
) -> None:
    """Bytes have the digest that they are said to have, or go no further."""
    scene.registry.answer = answer
    with pytest.raises(error):
        await scene.get(asked)
    scene.registry.answer = Unavailable("down")
    with pytest.raises(Unavailable):
        await scene.get(asked)
