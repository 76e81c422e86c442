"""Who looks at a file: the seeder that owns its name, a stand-in, or this node."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from eagle_node.base.digest import digest_of
from eagle_node.base.errors import Denied, EagleError, NoSpace, Unavailable
from eagle_node.metainfo.file_messages import FoundEvent, LookReply
from eagle_node.metainfo.messages import BeatEvent
from eagle_node.peer.looks import Looks
from eagle_node.registry.docker_config import Credential, basic
from eagle_node.registry.file_ref import FileRef
from eagle_node.runtime.sockets import Address

FILE = FileRef("files.example", "/a.bin")
FOUND = FoundEvent(digest=digest_of(b"file"), size=4)
SEEDERS = [Address("192.0.2.1", 1), Address("192.0.2.2", 1), Address("192.0.2.3", 1)]


class Scripted:
    """Gives a sign of life, then what it found, or an error."""

    def __init__(self, error: EagleError | None = None, *, ends_early: bool = False) -> None:
        self.error = error
        self.ends_early = ends_early
        self.asked: list[str | None] = []

    async def look(
        self, file: FileRef, authorization: str | None
    ) -> AsyncGenerator[LookReply, None]:
        self.asked.append(authorization)
        yield BeatEvent(received=1)
        if self.error is not None:
            raise self.error
        if not self.ends_early:
            yield FOUND


class Upstream:
    """Tells whether this node has credentials of its own."""

    def __init__(self, *, own: Credential | None = None) -> None:
        self.own = own

    async def own_credential(self, registry: str) -> Credential | None:
        return self.own


def looks(
    own: Scripted,
    others: list[Scripted],
    *,
    private: bool = False,
    upstream: Upstream | None = None,
) -> Looks:
    """With ``others`` at the seeders, in the order in which they own the file."""
    at = dict(zip(SEEDERS, others, strict=False))
    return Looks(
        own,
        upstream or Upstream(),
        order=lambda name: list(at),
        looker_at=at.get,
        private=private,
    )


async def told(made: Looks, authorization: str | None = None) -> LookReply:
    """The last word."""
    return [reply async for reply in made.look(FILE, authorization)][-1]


async def test_the_owner_looks() -> None:
    """Nobody else does."""
    own, owner, next_one = Scripted(), Scripted(), Scripted()
    assert await told(looks(own, [owner, next_one])) == FOUND
    assert (own.asked, owner.asked, next_one.asked) == ([], [None], [])


@pytest.mark.parametrize(
    "broken",
    [
        Scripted(Unavailable("down")),
        Scripted(NoSpace("full")),
        Scripted(ends_early=True),
    ],
    ids=["down", "full", "ends early"],
)
async def test_others_stand_in_for_one_that_fails(broken: Scripted) -> None:
    """The next one, and after two this node itself."""
    own, stand_in = Scripted(), Scripted()
    assert await told(looks(own, [broken, stand_in])) == FOUND
    assert own.asked == []
    third = Scripted()
    assert await told(looks(own, [broken, broken, third])) == FOUND
    assert (own.asked, third.asked) == ([None], [])


async def test_a_refusal_is_final() -> None:
    """It is the server's."""
    own = Scripted()
    with pytest.raises(Denied):
        await told(looks(own, [Scripted(Denied("no", status=403, code="DENIED"))]))
    assert own.asked == []


async def test_the_last_failure_is_told() -> None:
    """This node's own, since nobody comes after it."""
    with pytest.raises(Unavailable, match="no route"):
        await told(looks(Scripted(Unavailable("no route")), [Scripted(Unavailable("down"))]))


async def test_credentials_go_where_nobody_reads_them() -> None:
    """To other nodes under a cluster key only; the node's own never."""
    own, owner = Scripted(), Scripted()
    await told(looks(own, [owner]), "Bearer me")
    assert (own.asked, owner.asked) == (["Bearer me"], [])
    await told(looks(own, [owner], private=True), "Bearer me")
    assert owner.asked == ["Bearer me"]
    with_own = Upstream(own=basic("u", "p"))
    await told(looks(own, [owner], private=True, upstream=with_own))
    assert own.asked == ["Bearer me", None]
    assert owner.asked == ["Bearer me"]


async def test_a_seeder_asks_nobody_behind_itself() -> None:
    """Its own turn is its own."""
    own = Scripted()
    assert await told(looks(own, [own, Scripted(Unavailable("down"))])) == FOUND
    assert own.asked == [None]
