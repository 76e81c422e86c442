"""Readers whose tokens expire while they read here and there in a blob."""

from __future__ import annotations

import asyncio
import io
import random
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from eagle_node.base.digest import digest_of
from tests.integration.lazy.reader import SeekableBlob
from tests.integration.registry.token_service import token_registry, token_service
from tests.support import http
from tests.support.node import Node, eagle_node
from tests.support.origin import NAME
from tests.support.pulls import REPOSITORY, blob_url
from tests.support.waiting import until

MIB = 1 << 20
LIFE_S = 300
LEEWAY_S = 60
"""Seconds for which docker-registry accepts a token that has expired."""
LEFT_S = 6
OWNER, READER = "owner", "reader"


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def _upload(url: str, content: bytes, shown: Mapping[str, str]) -> None:
    async with http.client() as session:
        start = f"{url}/v2/{REPOSITORY}/blobs/uploads/"
        async with session.post(start, headers=shown) as answer:
            assert answer.status == 202, await answer.text()
            where = f"{answer.headers['Location']}&digest={digest_of(content)}"
        async with session.put(where, data=io.BytesIO(content), headers=shown) as answer:
            assert answer.status == 201, await answer.text()


async def _status(method: str, url: str, shown: Mapping[str, str]) -> tuple[int, str]:
    """Of an answer, with its challenge."""
    async with http.client() as session, session.request(method, url, headers=shown) as answer:
        return answer.status, answer.headers.get("WWW-Authenticate", "")


async def _read(node: Node, content: bytes, start: int, shown: Mapping[str, str]) -> None:
    """Some bytes; the right ones."""
    async with aiohttp.ClientSession(headers=shown) as session:
        url = blob_url(node, digest_of(content))
        blob = SeekableBlob(session=session, url=url, size=len(content))
        assert await blob.span(start, start + 1000) == content[start : start + 1000]


async def test_a_lazy_session_outlives_its_first_token(tmp_path: Path) -> None:
    """Through a peer and at its seeder: a range that is asked for with a newer token comes.

    The transfer began with the first one, which the registry takes no longer.
    """
    content = random.Random(1).randbytes(12 * MIB)
    scope = f"repository:{REPOSITORY}:pull"
    async with token_service() as service:
        service.rights = {
            READER: {REPOSITORY: ["pull"]},
            OWNER: {REPOSITORY: ["pull", "push"]},
        }
        async with token_registry(tmp_path, service) as url:
            await _upload(url, content, _bearer(service.token(OWNER, [f"{scope},push"])))
            there = f"{url}/v2/{REPOSITORY}/blobs/{digest_of(content)}"
            at = ("--registry", f"{NAME}={url}", "--access-ttl", "0.01", "--denied-ttl", "0.01")
            async with (
                eagle_node(tmp_path / "a", *at) as seeder,
                eagle_node(tmp_path / "b", *at, *seeder.pins) as peer,
            ):
                aged = service.token(READER, [scope], age_s=LIFE_S + LEEWAY_S - LEFT_S)
                first, second = _bearer(aged), _bearer(service.token(READER, [scope]))
                await asyncio.gather(
                    *(_read(node, content, 2 * MIB, first) for node in (peer, seeder))
                )

                async def has_expired() -> bool:
                    return (await _status("HEAD", there, first))[0] == 401

                await until(has_expired, what="the registry to refuse the first token")
                for node, start in ((peer, 5 * MIB), (seeder, 8 * MIB), (peer, 9 * MIB)):
                    await _read(node, content, start, second)
                    status, challenge = await _status(
                        "GET", blob_url(node, digest_of(content)), first
                    )
                    assert status == 401
                    assert challenge.startswith("Bearer realm=")
                assert "goes on with another reader's rights" in peer.log() + seeder.log()
