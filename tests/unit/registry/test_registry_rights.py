"""What is kept over restarts of who was given what."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from eagle_node.base.digest import digest_of
from eagle_node.base.errors import Denied, Unavailable
from eagle_node.registry.access import Access, AccessMemory
from eagle_node.registry.authorizer import ANYBODY
from eagle_node.registry.names import BlobRef, Repository
from eagle_node.registry.rights import CLOCK_SLACK_S, OldWord, Rights
from tests.unit.registry.test_registry_access import DOWN, Origin

BLOB = BlobRef(Repository("r.test", "team/app"), digest_of(b"blob"))
ELSEWHERE = replace(BLOB, repository=Repository("r.test", "team/other"))
PASSWORD = "Basic bWFya2VkOnNlY3JldA=="
TOKEN = "Bearer marked-token"
LIMIT_S = 1000.0


class Life:
    """One process after another on the same directory; the wall clock."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now = 1e9

    def rights(self) -> Rights:
        """Of the next process."""
        return Rights(self.directory, LIMIT_S, lambda: self.now)


@pytest.fixture
def life(tmp_path: Path) -> Life:
    return Life(tmp_path)


@pytest.mark.parametrize("reader", [None, ANYBODY, PASSWORD, TOKEN])
async def test_a_yes_is_known_to_the_next_process(life: Life, reader: str | None) -> None:
    """To the same reader, of the same blob in the same repository; with its age, up to a limit."""
    async with life.rights() as rights:
        rights.yes(BLOB, reader, 7)
        assert await rights.recall(BLOB, reader) == OldWord(size=7, age_s=0.0)
    life.now += LIMIT_S - 1
    async with life.rights() as rights:
        assert await rights.recall(BLOB, "Basic other", reader) == OldWord(
            size=7, age_s=LIMIT_S - 1
        )
        assert await rights.recall(ELSEWHERE, reader) is None
        others = {None, ANYBODY, PASSWORD, TOKEN, "Basic other"} - {reader}
        assert await rights.recall(BLOB, *others) is None
        life.now += 1
        assert await rights.recall(BLOB, reader) is None


async def test_a_yes_to_a_signed_url_is_for_its_signature(life: Life) -> None:
    """It is known for the same query, and for no other, nor for none."""
    blobs = [replace(BLOB, served_at=f"/a{query}") for query in ("?sig=1", "?sig=2", "")]
    async with life.rights() as rights:
        rights.yes(blobs[0], ANYBODY, 7)
        known = [await rights.recall(blob, ANYBODY) for blob in blobs]
    assert known == [OldWord(size=7, age_s=0.0), None, None]


async def test_a_no_voids_it(life: Life) -> None:
    """In this process and in the next; a later yes counts again, and keeps the size."""
    async with life.rights() as rights:
        rights.yes(BLOB, PASSWORD, 7)
        rights.no(BLOB, PASSWORD)
        assert await rights.recall(BLOB, PASSWORD) is None
    async with life.rights() as rights:
        assert await rights.recall(BLOB, PASSWORD) is None
        rights.yes(BLOB, PASSWORD, 7)
        assert await rights.recall(BLOB, PASSWORD) is not None
        life.now += 100
        rights.yes(BLOB, PASSWORD)
        assert await rights.recall(BLOB, PASSWORD) == OldWord(size=7, age_s=0.0)


@pytest.mark.parametrize(("back_s", "known"), [(CLOCK_SLACK_S, True), (CLOCK_SLACK_S + 1, False)])
async def test_a_clock_that_was_set_back(life: Life, back_s: float, known: bool) -> None:
    """A word from a little ahead is new; one from far ahead is not believed."""
    async with life.rights() as rights:
        rights.yes(BLOB, ANYBODY)
    life.now -= back_s
    async with life.rights() as rights:
        word = await rights.recall(BLOB, ANYBODY)
        assert word == (OldWord(size=None, age_s=0.0) if known else None)


async def test_no_secret_is_in_the_files(life: Life) -> None:
    """Nor names; the key is for this user alone, and without it nothing is recognized."""
    async with life.rights() as rights:
        for reader in (PASSWORD, TOKEN):
            rights.yes(BLOB, reader)
    for path in life.directory.iterdir():
        content = path.read_bytes()
        for secret in (PASSWORD[6:], "marked-token", "team/app", BLOB.digest[7:]):
            assert secret.encode() not in content
    key = life.directory / "rights.key"
    assert stat.S_IMODE(os.stat(key).st_mode) == 0o600
    key.write_bytes(b"damaged")
    async with life.rights() as rights:
        assert await rights.recall(BLOB, PASSWORD, TOKEN) is None


async def test_access_uses_it_only_while_the_origin_is_down(life: Life) -> None:
    """What the origin says now always counts, a no for later outages as well."""
    for answer in (None, DOWN, Denied("no", status=403, code="DENIED"), DOWN):
        async with life.rights() as rights:
            origin = Origin()
            if answer is not None:
                origin.answer = answer
            access = Access(origin, AccessMemory(0.0, 0.0, LIMIT_S), rights=rights)
            if answer is None:
                assert not (await access.check(BLOB, PASSWORD)).stale
                refused = False
            elif answer is DOWN and not refused:
                assert (await access.check(BLOB, PASSWORD)).stale
                with pytest.raises(Unavailable):
                    await access.check(BLOB, "Basic other")
            else:
                refused = True
                with pytest.raises(type(answer)):
                    await access.check(BLOB, PASSWORD)
            assert origin.asked
