"""Questions for registries over real channels on loopback."""

from __future__ import annotations

import socket

import pytest

from eagle_node.base.errors import Denied, EagleError, Unavailable
from eagle_node.metainfo.client import MetaInfoClient
from eagle_node.metainfo.registry_messages import (
    CheckReply,
    ManifestReply,
    decode_check_reply,
    decode_manifest_reply,
    decode_manifest_request,
    encode_check_reply,
    encode_manifest_reply,
)
from eagle_node.runtime.sockets import Address
from tests.unit.metainfo.examples import (
    CHECK_REPLY,
    CHECK_REQUEST,
    MANIFEST_REPLY,
    MANIFEST_REQUEST,
    Desk,
    Handler,
    serving,
)


async def test_a_question_is_answered() -> None:
    """The desk sees it as it was asked, the node sees the answer as it was given."""
    desk = Desk()
    async with serving(Handler(), desk=desk) as seeder, MetaInfoClient(list) as client:
        assert await client.manifest(seeder, MANIFEST_REQUEST) == MANIFEST_REPLY
        assert await client.check(seeder, CHECK_REQUEST) == CHECK_REPLY
    assert desk.asked == [MANIFEST_REQUEST, CHECK_REQUEST]


@pytest.mark.parametrize(
    "error",
    [
        Denied("token wanted", status=401, code="UNAUTHORIZED", challenge='Bearer realm="r"'),
        Denied("slow down", status=429, code="TOOMANYREQUESTS", retry_after="30"),
        Unavailable("origin is down"),
    ],
)
async def test_a_refusal_is_the_registrys_own(error: EagleError) -> None:
    """With everything that the client needs to do better."""
    async with (
        serving(Handler(), desk=Desk(error=error)) as seeder,
        MetaInfoClient(list) as client,
    ):
        with pytest.raises(type(error)) as raised:
            await client.check(seeder, CHECK_REQUEST)
    assert vars(raised.value) == vars(error)


async def test_a_seeder_that_takes_no_questions_comes_last() -> None:
    """One that accepts connections and says nothing is given up, and avoided for a while."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        silent = Address("127.0.0.1", listener.getsockname()[1])
        other = Address("127.0.0.1", 1)
        async with MetaInfoClient(lambda: [silent, other], connect_timeout_s=0.2) as client:
            with pytest.raises(Unavailable):
                await client.manifest(silent, MANIFEST_REQUEST)
            assert client.live_first([silent, other]) == [other, silent]


async def test_a_seeder_without_a_desk_says_so() -> None:
    """An older release: the node asks the registry itself."""
    async with serving(Handler()) as seeder, MetaInfoClient(list) as client:
        with pytest.raises(Unavailable, match="Method not found"):
            await client.check(seeder, CHECK_REQUEST)


def test_what_is_not_told_stays_untold() -> None:
    """No size is another thing than a size of 0."""
    for size in (None, 0, 5):
        check = CheckReply(size=size)
        assert decode_check_reply(encode_check_reply(check)) == check
        manifest = ManifestReply(digest=None, media_type="", size=size)
        assert decode_manifest_reply(encode_manifest_reply(manifest)) == manifest


def test_noise_is_no_question() -> None:
    """And says so with its length only."""
    with pytest.raises(ValueError, match="3 bytes"):
        decode_manifest_request(b"\xff\xff\xff")


def test_credentials_do_not_show() -> None:
    """Neither question has them in its repr."""
    assert "secret" not in f"{MANIFEST_REQUEST}{CHECK_REQUEST}"
