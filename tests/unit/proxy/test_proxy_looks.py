"""Trust at the first fetch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eagle_node.base.digest import digest_of
from eagle_node.base.errors import Denied, Unavailable
from eagle_node.metainfo.file_messages import FoundEvent
from eagle_node.metainfo.messages import BeatEvent
from eagle_node.proxy.looks import judge
from eagle_node.registry.file_ref import FileFound, FileRef
from eagle_node.registry.file_store import Trusted
from tests.unit.proxy.rig import Rig, proxying

OLD, NEW = (FoundEvent(digest=digest_of(text), size=3) for text in (b"old", b"new"))
FILE = FileRef("files.example", "/a?sig=secret")


async def nothing(_: Any) -> Any:
    """The origin is not asked: the looker is."""
    raise AssertionError


async def look(rig: Rig, **more: str) -> tuple[int, list[Any]]:
    """Status and lines of an answer."""
    query = {"url": "https://files.example/a", **more}
    url, headers = f"{rig.url}/eagle/v1/look", {"X-Eagle-Node": "test"}
    async with rig.client.post(url, params=query, headers=headers) as answer:
        return answer.status, [json.loads(line) async for line in answer.content]


async def test_the_first_is_recorded_and_the_next_held_to_it(tmp_path: Path) -> None:
    """Until somebody accepts the new one; a look that fails leaves the record."""
    async with proxying(tmp_path, nothing) as rig:
        rig.looker.says = [BeatEvent(received=2), OLD]
        told = {"digest": OLD.digest, "size": 3}
        assert await look(rig) == (200, [{"received": 2}, {**told, "trust": "first"}])
        assert await look(rig) == (200, [{"received": 2}, {**told, "trust": "recorded"}])
        rig.looker.says = [NEW]
        status, (refusal,) = await look(rig)
        assert status == 409
        assert "--trust-new" in refusal["errors"][0]["message"]
        rig.looker.says = [BeatEvent(received=2), NEW]
        _, (_, late) = await look(rig)
        assert late["status"] == 409
        rig.looker.says = [Unavailable("down")]
        assert await look(rig) == (200, [{**told, "trust": "recorded"}])
        assert (await look(rig, trust="new"))[0] == 502
        rig.looker.says = [NEW]
        told = {"digest": NEW.digest, "size": 3}
        assert await look(rig, trust="new") == (200, [{**told, "trust": "new"}])
        assert await look(rig) == (200, [{**told, "trust": "recorded"}])


async def test_a_server_that_is_down_or_refuses_is_told(tmp_path: Path) -> None:
    """A refusal counts even if the file was fetched before."""
    async with proxying(tmp_path, nothing) as rig:
        rig.looker.says = [Unavailable("down")]
        assert (await look(rig))[0] == 502
        rig.looker.says = [OLD]
        await look(rig)
        rig.looker.says = [Denied("no", status=403, code="DENIED")]
        assert (await look(rig))[0] == 403


async def test_web_pages_cannot_ask(tmp_path: Path) -> None:
    """They cannot send the header here unasked; a GET changes nothing."""
    async with proxying(tmp_path, nothing) as rig:
        rig.looker.says = [OLD]
        url = f"{rig.url}/eagle/v1/look?url=https://files.example/a"
        async with rig.client.post(url) as answer:
            assert answer.status == 403
        async with rig.client.get(url, headers={"X-Eagle-Node": "test"}) as answer:
            assert answer.status == 404


def test_a_change_is_told_with_both_digests_and_the_ways_out() -> None:
    """And without the query, which may be signed."""
    trusted = Trusted(digest=OLD.digest, size=3, at="2026-11-21 12:00 UTC")
    found = FileFound(digest=NEW.digest, size=5)
    with pytest.raises(Denied) as raised:
        judge(FILE, trusted, found, trust_new=False)
    told = str(raised.value)
    for word in (
        OLD.digest,
        NEW.digest,
        "2026-11-21",
        "--trust-new",
        "--digest",
        "files.example/a",
    ):
        assert word in told
    assert "secret" not in told
