"""Bearer tokens: with a real registry, and with services that misbehave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from eagle_node.base.digest import digest_of
from eagle_node.base.errors import Denied, Unavailable
from eagle_node.config.tree import ProxyConfig, RegistryConfig
from eagle_node.registry.challenge import BearerChallenge, parse_challenges
from eagle_node.registry.docker_config import basic
from eagle_node.registry.names import BlobRef, Repository
from tests.integration.registry.content import push_blob
from tests.integration.registry.origin import (
    BLOB,
    CONTENT,
    Handler,
    at,
    read,
    serving,
    upstream,
)
from tests.integration.registry.token_service import TokenService, token_registry, token_service

REAL = "tokens.test"
PUBLIC = BlobRef(Repository(REAL, "public/app"), digest_of(CONTENT))
PRIVATE = BlobRef(Repository(REAL, "private/app"), digest_of(CONTENT))
USER = basic("user", "secret").authorization


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A registry with one public and one private repository that hold the same blob."""

    service: TokenService
    registry: RegistryConfig


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """Running, with the blob pushed."""
    async with token_service() as service:
        everything = ["pull", "push"]
        service.passwords["user"] = "secret"
        service.refresh_tokens["refresh"] = "user"
        service.rights[""] = {"public/app": ["pull"]}
        service.rights["user"] = {"public/app": everything, "private/app": everything}
        async with token_registry(tmp_path, service) as url:
            registry = RegistryConfig(name=REAL, url=url)
            async with upstream(registry) as client:
                for blob in (PUBLIC, PRIVATE):
                    scope = f"repository:{blob.repository.name}:pull,push"
                    token = service.token("user", [scope])
                    await push_blob(client, blob.repository, CONTENT, f"Bearer {token}")
            yield Scene(service=service, registry=registry)


async def test_anybody_reads_what_is_public(scene: Scene) -> None:
    """By an anonymous token, asked for once; the challenge is asked for once as well."""
    async with upstream(scene.registry) as client:
        await asyncio.gather(*(client.check_blob(PUBLIC, None) for _ in range(5)))
        await client.check_blob(PUBLIC, None)
    assert len(scene.service.origin.seen) == 1
    assert scene.service.origin.seen[0].authorization is None


async def test_a_password_is_traded_for_a_token(scene: Scene) -> None:
    """The client's Basic goes to the token service of the registry that it was meant for."""
    async with upstream(scene.registry) as client:
        assert (await client.check_blob(PRIVATE, USER)).size == len(CONTENT)
        with pytest.raises(Denied) as caught:
            await client.check_blob(PRIVATE, basic("user", "wrong").authorization)
        assert caught.value.status == 401
        with pytest.raises(Denied) as caught:
            await client.check_blob(PRIVATE, None)
    [challenge] = parse_challenges(caught.value.challenge or "")
    assert challenge == BearerChallenge(
        realm=scene.service.realm, service="test-registry", scope="repository:private/app:pull"
    )


async def test_a_clients_token_is_used_as_it_came(scene: Scene) -> None:
    """It opens what it opens and nothing else; an expired one is a 401, not replaced by ours."""
    token = scene.service.token("user", ["repository:private/app:pull"])
    expired = scene.service.token("user", ["repository:private/app:pull"], age_s=3600)
    async with upstream(scene.registry) as client:
        await client.check_blob(PRIVATE, f"Bearer {token}")
        for refused, bearer in ((PUBLIC, token), (PRIVATE, expired), (PUBLIC, "x")):
            with pytest.raises(Denied) as caught:
                await client.check_blob(refused, f"Bearer {bearer}")
            assert caught.value.status == 401
            assert (caught.value.challenge or "").startswith("Bearer realm=")
    assert scene.service.origin.seen == []


@pytest.mark.parametrize(
    "entry", [{"username": "user", "password": "secret"}, {"identitytoken": "refresh"}]
)
async def test_the_nodes_credentials_serve_clients_without(
    scene: Scene, tmp_path: Path, entry: dict[str, str]
) -> None:
    """User and password by GET, an identity token by POST (OAuth 2)."""
    login = tmp_path / "config.json"
    login.write_text(json.dumps({"auths": {REAL: entry}}))
    config = ProxyConfig(registries=(scene.registry,), docker_config=login)
    async with upstream(config=config) as client:
        await client.check_blob(PRIVATE, None)
    methods = [seen.method for seen in scene.service.origin.seen]
    assert methods == ["POST" if "identitytoken" in entry else "GET"]


class Guarded:
    """A scripted registry that wants a token which it has not rejected yet."""

    def __init__(self, realm: str) -> None:
        self.valid = {"Bearer 1"}
        self._challenge = BearerChallenge(
            realm=realm, service="s", scope="repository:team/app:pull"
        )

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The blob for a valid token, a 401 otherwise."""
        if request.headers.get("Authorization") in self.valid:
            return web.Response(body=CONTENT)
        headers = {"WWW-Authenticate": self._challenge.render()}
        return web.Response(status=401, headers=headers)


def counting() -> Handler:
    """A token service that hands out 1, 2, 3 …, and does not tell how long they live."""
    count = 0

    async def handle(_: web.Request) -> web.Response:
        nonlocal count
        count += 1
        return web.json_response({"token": str(count)})

    return handle


async def test_an_expired_token_is_renewed_once() -> None:
    """A kept token that the registry no longer takes costs one renewal and one more request."""
    async with (
        serving(counting()) as service,
        serving((guard := Guarded(f"{service.url}/t")).handle) as origin,
        upstream(at(origin)) as client,
    ):
        assert await read(client) == CONTENT
        guard.valid = {"Bearer 2"}
        assert await read(client) == CONTENT
        assert await read(client) == CONTENT
        guard.valid = set()
        with pytest.raises(Denied) as caught:
            await read(client)
    assert caught.value.status == 401
    assert [seen.authorization for seen in origin.seen] == [
        None,
        "Bearer 1",
        "Bearer 1",
        "Bearer 2",
        "Bearer 2",
        "Bearer 2",
        "Bearer 3",
    ]


async def test_a_token_is_renewed_shortly_before_it_expires() -> None:
    """So that none expires on its way; without ``expires_in`` it lives a minute."""
    now = 0.0
    async with (
        serving(counting()) as service,
        serving((guard := Guarded(f"{service.url}/t")).handle) as origin,
        upstream(at(origin), clock=lambda: now) as client,
    ):
        guard.valid = {"Bearer 1", "Bearer 2"}
        await read(client)
        now = 49.0
        await read(client)
        assert len(service.seen) == 1
        now = 50.0
        await read(client)
        assert len(service.seen) == 2


def refusing(status: int, body: str = "{}") -> Handler:
    """A token service that always answers the same."""

    async def handle(_: web.Request) -> web.Response:
        return web.Response(status=status, text=body, content_type="application/json")

    return handle


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, "<html>", "sent no token"),
        (200, "[]", "sent no token"),
        (200, "{}", "no usable token"),
        (200, '{"token": "a\\r\\nSet-Cookie: b"}', "no usable token"),
        (200, '{"token": 5}', "no usable token"),
        (200, '{"token": "x", "expires_in": "soon"}', "sent no token"),
        (404, "", "token service of registry origin.test answered 404"),
        (500, "", "token service of registry origin.test answered 500"),
    ],
)
async def test_a_broken_token_service_is_a_fault(status: int, body: str, reason: str) -> None:
    """Not a refusal: nobody has said no."""
    async with (
        serving(refusing(status, body)) as service,
        serving(Guarded(service.url).handle) as origin,
        upstream(at(origin)) as client,
    ):
        with pytest.raises(Unavailable, match=reason):
            await read(client)


async def test_a_rate_limited_token_service_is_a_429() -> None:
    """The client learns that it is to wait."""
    async with (
        serving(refusing(429)) as service,
        serving(Guarded(service.url).handle) as origin,
        upstream(at(origin)) as client,
    ):
        with pytest.raises(Denied) as caught:
            await read(client)
    assert caught.value.status == 429


async def test_a_token_service_that_moved_is_found_again() -> None:
    """A remembered challenge that leads nowhere is forgotten."""
    has_moved, now = False, 0.0
    issue = counting()

    async def old_service(request: web.Request) -> web.StreamResponse:
        return web.Response(status=404) if has_moved else await issue(request)

    async def handle(request: web.Request) -> web.StreamResponse:
        return await Guarded((new if has_moved else old).url).handle(request)

    async with (
        serving(old_service) as old,
        serving(counting()) as new,
        serving(handle) as origin,
        upstream(at(origin), clock=lambda: now) as client,
    ):
        await read(client)
        has_moved, now = True, 100.0
        with pytest.raises(Unavailable):
            await read(client)
        assert await read(client) == CONTENT


async def test_a_refresh_token_does_not_follow_a_redirect(tmp_path: Path) -> None:
    """A POST is never sent on: its body is a secret."""
    login = tmp_path / "config.json"
    login.write_text(json.dumps({"auths": {BLOB.repository.registry: {"identitytoken": "secret"}}}))

    async def move(_: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": thief.url})

    async with (
        serving(counting()) as thief,
        serving(move) as service,
        serving(Guarded(service.url).handle) as origin,
        upstream(config=ProxyConfig(registries=(at(origin),), docker_config=login)) as client,
    ):
        with pytest.raises(Unavailable, match="307"):
            await read(client)
    assert service.seen[0].body.count(b"refresh_token=secret") == 1
    assert thief.seen == []
