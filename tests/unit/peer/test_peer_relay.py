"""Who asks a registry for a node: a seeder's desk, or the node itself."""

from __future__ import annotations

import pytest

from eagle_node.base.digest import digest_of
from eagle_node.base.errors import Denied, EagleError, Silent, Unavailable
from eagle_node.metrics.instruments import Metrics, by_label
from eagle_node.peer.relay import WRITTEN_S, Relay
from eagle_node.registry.authorizer import ANYBODY
from eagle_node.registry.docker_config import Credential, basic
from eagle_node.registry.manifest_question import ManifestAnswer, ManifestQuestion
from eagle_node.registry.names import BlobRef, Repository, Tag
from eagle_node.registry.upstream import BlobInfo
from eagle_node.runtime.sockets import Address

REPOSITORY = Repository("r.test", "team/app")
BODY = b"{}"
BLOB = BlobRef(REPOSITORY, digest_of(BODY))
SEEDERS = [Address("127.0.0.1", port) for port in (1, 2, 3)]
YES = BlobInfo(size=1)
OLD = BlobInfo(size=2, age_s=9.0, stale=True)
OWN = basic("node", "own")
DOWN = Unavailable("down")


def no(status: int) -> Denied:
    """A refusal."""
    return Denied("no", status=status, code="X", retry_after="9")


class Desk:
    """Somebody who answers as told to, and notes which readers he was asked for."""

    def __init__(self, answer: BlobInfo | EagleError) -> None:
        self.answer = answer
        self.own: Credential | None = None
        self.readers: list[str | None] = []
        self.doubted: list[str] = []
        self.vouched: list[tuple[str, float]] = []

    async def check_blob(self, _: BlobRef, authorization: str | None) -> BlobInfo:
        self.readers.append(authorization)
        if isinstance(self.answer, EagleError):
            raise self.answer
        return self.answer

    async def manifest(self, asked: ManifestQuestion) -> ManifestAnswer:
        info = await self.check_blob(BLOB, asked.authorization)
        return ManifestAnswer(digest=BLOB.digest, media_type="", size=info.size, stale=info.stale)

    def doubt(self, registry: str) -> None:
        self.doubted.append(registry)

    def vouch(self, registry: str, age_s: float) -> None:
        self.vouched.append((registry, age_s))

    async def reader(self, _: str, authorization: str | None) -> str | None:
        return authorization

    async def own_credential(self, registry: str) -> Credential | None:
        assert registry == REPOSITORY.registry
        return self.own


class Scene:
    """A node, the registry, and a desk at each of three seeders."""

    def __init__(self, *, private: bool = False, tags: bool = True) -> None:
        self.registry = Desk(BlobInfo(size=0))
        self.desks = {seeder: Desk(YES) for seeder in SEEDERS}
        self.first, self.second, self.third = self.desks.values()
        self.now = 7.0
        self.metrics = Metrics()
        self.keys: list[str] = []
        self.relay = Relay(
            self.registry,
            order=self._order,
            desk_at=self.desks.get,
            private=private,
            tags=tags,
            metrics=self.metrics,
            clock=lambda: self.now,
        )

    def _order(self, key: str) -> list[Address]:
        self.keys.append(key)
        return SEEDERS


async def test_the_owner_of_the_repository_is_asked() -> None:
    """It alone, and not the registry."""
    scene = Scene()
    assert await scene.relay.check_blob(BLOB, None) == YES
    assert scene.keys == ["r.test/team/app"]
    assert scene.first.readers == [None]
    assert not scene.second.readers + scene.registry.readers


async def test_a_stand_in_is_asked_then_the_registry() -> None:
    """A node whose seeders are all gone is as well off as one without."""
    scene = Scene()
    scene.first.answer = DOWN
    assert await scene.relay.check_blob(BLOB, None) == YES
    scene.second.answer = DOWN
    assert await scene.relay.check_blob(BLOB, None) == BlobInfo(size=0)
    assert (len(scene.first.readers), len(scene.second.readers)) == (2, 2)
    assert scene.third.readers == []
    assert by_label(scene.metrics.relays) == {"failed": 3, "answered": 1}


@pytest.mark.parametrize("status", [401, 403, 404, 429])
async def test_a_refusal_is_final(status: int) -> None:
    """It is the registry's word; asking it once more would be no gain."""
    scene = Scene()
    scene.first.answer = no(status)
    with pytest.raises(Denied):
        await scene.relay.check_blob(BLOB, None)
    assert not scene.second.readers + scene.registry.readers


async def test_an_old_word_counts_when_there_is_no_newer_one() -> None:
    """A seeder may be cut off from the registry alone; so the node tries."""
    scene = Scene()
    scene.first.answer = OLD
    assert await scene.relay.check_blob(BLOB, None) == YES
    scene.second.answer = OLD
    assert await scene.relay.check_blob(BLOB, None) == BlobInfo(size=0)
    for trouble in (DOWN, no(429)):
        scene.registry.answer = trouble
        assert await scene.relay.check_blob(BLOB, None) == OLD
    scene.registry.answer = no(403)
    with pytest.raises(Denied):
        await scene.relay.check_blob(BLOB, None)


@pytest.mark.parametrize("answer", [OLD, Silent("nothing came")], ids=["old", "none"])
async def test_what_desks_wait_for_in_vain_this_node_does_not_wait_for_long(
    answer: BlobInfo | EagleError,
) -> None:
    """It asks, since its way may be another one."""
    scene = Scene()
    scene.first.answer = scene.second.answer = answer
    assert await scene.relay.check_blob(BLOB, None) == BlobInfo(size=0)
    assert set(scene.registry.doubted) == {"r.test"}
    scene.first.answer = DOWN
    scene.registry.doubted.clear()
    scene.second.answer = YES
    scene.registry.vouched.clear()
    await scene.relay.check_blob(BLOB, None)
    assert scene.registry.doubted == []
    assert scene.registry.vouched == [("r.test", 0.0)]


async def test_a_registry_that_says_to_wait_is_not_asked_by_others() -> None:
    """The old word is taken at once."""
    scene = Scene()
    scene.first.answer = BlobInfo(size=2, stale=True, limited=True)
    assert (await scene.relay.check_blob(BLOB, None)).limited
    assert not scene.second.readers + scene.registry.readers


@pytest.mark.parametrize("private", [False, True])
async def test_credentials_leave_the_node_over_tls_only(private: bool) -> None:
    """Without a cluster key the registry is asked by the node itself."""
    scene = Scene(private=private)
    await scene.relay.check_blob(BLOB, "Bearer a")
    assert scene.first.readers == (["Bearer a"] if private else [])
    assert scene.registry.readers == ([] if private else ["Bearer a"])


@pytest.mark.parametrize(
    ("own", "private", "desk", "registry"),
    [
        (OWN, True, [OWN.authorization], []),
        (OWN, False, [], [None]),
        (Credential(identity_token="t"), True, [], [None]),
    ],
)
async def test_the_nodes_own_credentials_are_like_a_clients(
    own: Credential, private: bool, desk: list[str | None], registry: list[str | None]
) -> None:
    """Name and password over TLS; an identity token never leaves, and nobody reads as anybody."""
    scene = Scene(private=private)
    scene.registry.own = own
    await scene.relay.check_blob(BLOB, None)
    assert (scene.first.readers, scene.registry.readers) == (desk, registry)


async def test_tags_can_be_kept_to_the_node() -> None:
    """Digests still go through the seeder: they prove themselves."""
    scene = Scene(tags=False)
    asked = ManifestQuestion(repository=REPOSITORY, reference=Tag("latest"), method="GET")
    await scene.relay.manifest(asked)
    assert (scene.first.readers, scene.registry.readers) == ([], [None])
    by_digest = ManifestQuestion(repository=REPOSITORY, reference=BLOB.digest, method="GET")
    await scene.relay.manifest(by_digest)
    assert (scene.first.readers, scene.registry.readers) == ([None], [None])


async def test_after_a_push_the_node_asks_for_itself() -> None:
    """For that repository, until no desk remembers what was there before."""
    scene = Scene()
    other = BlobRef(Repository("r.test", "other"), BLOB.digest)
    scene.relay.written(REPOSITORY)
    await scene.relay.check_blob(BLOB, None)
    await scene.relay.check_blob(other, None)
    assert (scene.first.readers, scene.registry.readers) == ([None], [None])
    scene.now += WRITTEN_S
    await scene.relay.check_blob(BLOB, None)
    assert len(scene.first.readers) == 2


async def test_a_blob_at_a_place_of_its_own_is_the_nodes_to_ask_for() -> None:
    """Desks know repositories only."""
    scene = Scene()
    await scene.relay.check_blob(BlobRef(REPOSITORY, BLOB.digest, "/files/x"), None)
    assert scene.first.readers == []


async def test_anybody_is_asked_for_as_anybody() -> None:
    """Readers on other nodes who show nothing have none of this node's own credentials."""
    scene = Scene(private=True)
    scene.registry.own = OWN
    await scene.relay.check_blob(BLOB, ANYBODY)
    assert scene.first.readers == [None]
    for desk in scene.desks.values():
        desk.answer = DOWN
    await scene.relay.check_blob(BLOB, ANYBODY)
    assert scene.registry.readers == [ANYBODY]
