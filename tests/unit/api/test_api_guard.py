"""Who may use the control API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from eagle_node.api.client import ApiClient, Refused
from eagle_node.api.handlers import build_api
from eagle_node.api.token import read_token
from eagle_node.base.errors import UsageError
from eagle_node.metrics.instruments import Metrics
from tests.unit.api.documents import STATUS, FixedSource

CHANGE = b'{"key": "upload-limit", "value": "1"}'


@asynccontextmanager
async def api(token: str | None = None) -> AsyncIterator[tuple[str, FixedSource]]:
    """An API, and the node behind it."""
    source = FixedSource()
    async with TestServer(build_api(source, Metrics(), token=token)) as server:
        yield str(server.make_url("")).rstrip("/"), source


async def ask(
    url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> tuple[int, dict[str, Any]]:
    """Status and document of a GET, or of a POST when there is a body."""
    method = "GET" if body is None else "POST"
    async with (
        aiohttp.ClientSession() as client,
        client.request(method, url, headers=headers, data=body) as answer,
    ):
        return answer.status, json.loads(await answer.read())


async def test_with_a_token_it_must_be_shown() -> None:
    """Everything but health and readiness; the problem says how."""
    async with api("s3cret") as (url, source):
        async with ApiClient(url) as stranger:
            with pytest.raises(Refused, match="answered 401: this API needs its token") as caught:
                await stranger.status()
            assert caught.value.status == 401
            assert (await stranger.ready()).ready
        async with ApiClient(url, token="s3cret") as client:
            assert await client.status() == STATUS
            await client.change("upload-limit", "5")
        assert len(source.asked) == 1


@pytest.mark.parametrize(
    "shown", ["", "s3cret", "Bearer", "Bearer s3cre", "Bearer s3cret2", "Basic s3cret", "Bearer ä"]
)
async def test_a_wrong_token_is_none(shown: str) -> None:
    """Part of it, more than it, by another scheme, in other letters."""
    async with api("s3cret") as (url, _):
        status, problem = await ask(f"{url}/v1/status", headers={"Authorization": shown})
        assert (status, problem["title"]) == (401, "Unauthorized")


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:43003", "127.0.0.1.evil.example", "10.0.0.1", "", "[::2]:1"],
)
async def test_without_a_token_the_api_has_loopback_names_only(host: str) -> None:
    """A page's own name that was made to resolve to loopback gets nothing (DNS rebinding)."""
    async with api() as (url, _):
        status, problem = await ask(f"{url}/v1/status", headers={"Host": host})
        assert status == 403
        assert "--api-token-file" in problem["detail"]


@pytest.mark.parametrize("host", ["localhost:43003", "127.0.0.1", "127.0.0.53:1", "[::1]:43003"])
async def test_loopback_has_many_names(host: str) -> None:
    """Tunnels and port forwards arrive by another port, and by either family."""
    async with api() as (url, _):
        assert (await ask(f"{url}/v1/status", headers={"Host": host}))[0] == 200


async def test_pages_of_others_are_refused() -> None:
    """Their browser says where they are from; the API's own origin may ask."""
    async with api() as (url, source):
        own = {"Origin": url, "Content-Type": "application/json"}
        for origin in ("https://evil.example", "null", url.replace("127.0.0.1", "localhost")):
            status, _ = await ask(f"{url}/v1/settings", headers={**own, "Origin": origin})
            assert status == 403
        assert (await ask(f"{url}/v1/settings", headers=own, body=CHANGE))[0] == 200
        assert len(source.asked) == 1


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
async def test_what_a_form_can_send_changes_nothing(content_type: str) -> None:
    """A browser sends these types for any page without asking (CSRF)."""
    async with api() as (url, source):
        headers = {"Content-Type": content_type}
        status, problem = await ask(f"{url}/v1/settings", headers=headers, body=CHANGE)
        assert status == 415
        assert "application/json" in problem["detail"]
        assert source.asked == []


@pytest.mark.parametrize("content", [None, b"", b"\n", b"two words\n", b"\xff\n", b"two\nlines"])
def test_a_token_file_without_a_token_is_told(tmp_path: Path, content: bytes | None) -> None:
    """The error names the file."""
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=str(path)):
        read_token(path)


def test_a_token_file_is_one_line(tmp_path: Path) -> None:
    """With or without an end."""
    path = tmp_path / "token"
    path.write_text("s3cret\n")
    assert read_token(path) == "s3cret"
