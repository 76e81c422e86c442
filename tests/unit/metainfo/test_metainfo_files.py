"""Questions about files over real gRPC."""

from __future__ import annotations

import pytest

from eagle_node.base.errors import Denied
from eagle_node.metainfo.client import MetaInfoClient
from eagle_node.metainfo.file_messages import decode_look_reply
from eagle_node.metainfo.messages import BeatEvent
from tests.unit.metainfo.examples import FOUND, LOOK_REQUEST, Handler, Lookers, serving


async def test_a_look_is_answered() -> None:
    """Signs of life first; the question arrives as it was put."""
    files = Lookers()
    async with (
        serving(Handler(), files=files) as seeder,
        MetaInfoClient(lambda: [seeder]) as client,
    ):
        looking = client.look_from(seeder, LOOK_REQUEST, silence_s=30)
        assert [reply async for reply in looking] == [BeatEvent(received=0), FOUND]
    assert files.asked == [LOOK_REQUEST]


async def test_a_refusal_is_the_servers() -> None:
    """It keeps its status on its way."""
    refusal = Denied("not for you", status=403, code="DENIED")
    async with (
        serving(Handler(), files=Lookers(error=refusal)) as seeder,
        MetaInfoClient(lambda: [seeder]) as client,
    ):
        with pytest.raises(Denied, match="not for you") as raised:
            [reply async for reply in client.look_from(seeder, LOOK_REQUEST, silence_s=30)]
    assert raised.value.status == 403


def test_events_of_later_versions_are_passed_over() -> None:
    """Field 15 is not known here."""
    assert decode_look_reply(bytes([15 << 3, 1])) is None


def test_a_question_shows_no_secrets() -> None:
    """Neither the credentials nor the query, which may be signed."""
    assert "secret" not in repr(LOOK_REQUEST)
    assert "x=1" not in repr(LOOK_REQUEST)
