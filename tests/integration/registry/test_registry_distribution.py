"""Against Debian's docker-registry: plain, with passwords, with TLS."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eagle_node.base.digest import digest_of
from eagle_node.base.errors import Denied, Unavailable
from eagle_node.config.tree import ProxyConfig, RegistryConfig
from eagle_node.registry.access import Access, AccessMemory
from eagle_node.registry.docker_config import basic
from eagle_node.registry.names import BlobRef, Repository
from eagle_node.registry.upstream import BlobInfo, Upstream
from tests.integration.registry.content import MANIFEST_TYPE, push_blob, push_manifest
from tests.integration.registry.origin import upstream
from tests.support.certificates import issue
from tests.support.registry import Credentials, Registry, docker_registry

NAME = "registry.test"
REPOSITORY = Repository(NAME, "team/app")
CONTENT = b"a layer" * 10_000
BLOB = BlobRef(REPOSITORY, digest_of(CONTENT))
USER = Credentials(user="user", password="pass:word")


def mapped(registry: Registry, ca_file: Path | None = None) -> RegistryConfig:
    """The registry under its name."""
    return RegistryConfig(name=NAME, url=registry.url, ca_file=ca_file)


async def fetched(client: Upstream, authorization: str | None = None, **interval: int) -> bytes:
    """The bytes of the blob."""
    async with client.open_blob(BLOB, authorization=authorization, **interval) as stream:
        return b"".join([chunk async for chunk in stream.chunks()])


async def test_an_image_goes_up_and_comes_down(tmp_path: Path) -> None:
    """Upload, check, whole and ranged fetch, manifest by tag and digest, revalidation, lists."""
    async with docker_registry(tmp_path) as registry, upstream(mapped(registry)) as client:
        assert await push_blob(client, REPOSITORY, CONTENT) == BLOB.digest
        for tag in ("v1", "v2", "v3"):
            manifest = await push_manifest(client, REPOSITORY, tag, BLOB.digest, len(CONTENT))
        assert await client.check_blob(BLOB, None) == BlobInfo(size=len(CONTENT))
        assert await fetched(client) == CONTENT
        assert await fetched(client, start=10, stop=20) == CONTENT[10:20]
        assert await fetched(client, start=69_990) == CONTENT[69_990:]
        with pytest.raises(Denied) as beyond:
            await fetched(client, start=len(CONTENT))
        assert beyond.value.status == 416

        digest = digest_of(manifest)
        for reference in ("v1", digest):
            for method in ("HEAD", "GET"):
                reply = await client.fetch_manifest(
                    REPOSITORY,
                    reference,
                    method=method,
                    accept=[MANIFEST_TYPE],
                    authorization=None,
                )
                assert (reply.status, reply.digest, reply.size) == (200, digest, len(manifest))
                assert reply.media_type == MANIFEST_TYPE
                assert reply.body == (manifest if method == "GET" else b"")
        same = await client.fetch_manifest(
            REPOSITORY,
            "v1",
            method="GET",
            accept=[MANIFEST_TYPE],
            authorization=None,
            if_none_match=f'"{digest}"',
        )
        assert (same.status, same.body) == (304, b"")

        path, tags = "/v2/team/app/tags/list?n=2&ns=ignored.test", []
        while path:
            async with client.forward("GET", NAME, path, {}, None, None) as page:
                tags += json.loads(b"".join([c async for c in page.chunks()]))["tags"]
                path = page.headers.get("Link", "").partition(">")[0].removeprefix("<")
                assert not path or f"ns={NAME}" in path
        assert tags == ["v1", "v2", "v3"]


async def test_what_the_registry_lacks_is_not_found(tmp_path: Path) -> None:
    """Blob, manifest and repository, with the registry's own codes."""
    async with docker_registry(tmp_path) as registry, upstream(mapped(registry)) as client:
        for attempt in (client.check_blob(BLOB, None), fetched(client)):
            with pytest.raises(Denied) as caught:
                await attempt
            assert caught.value.status == 404
            assert caught.value.code in ("BLOB_UNKNOWN", "NAME_UNKNOWN")
        with pytest.raises(Denied) as caught:
            await client.fetch_manifest(
                REPOSITORY, "v1", method="GET", accept=[], authorization=None
            )
        assert (caught.value.status, caught.value.code) == (404, "MANIFEST_UNKNOWN")


async def test_passwords_open_what_they_open(tmp_path: Path) -> None:
    """The client's own go first; the node's are for clients without; a wrong one is a 401."""
    auth = tmp_path / "config.json"
    own = tmp_path / "own.json"
    own.write_text(
        json.dumps({"auths": {NAME: {"username": USER.user, "password": USER.password}}})
    )
    auth.write_text("{}")
    async with docker_registry(tmp_path / "registry", auth=USER) as registry:
        poor = ProxyConfig(registries=(mapped(registry),), docker_config=auth)
        rich = ProxyConfig(registries=(mapped(registry),), docker_config=own)
        async with upstream(config=poor) as client, upstream(config=rich) as node:
            await push_blob(client, REPOSITORY, CONTENT, USER.header)
            assert await fetched(client, USER.header) == CONTENT
            assert await fetched(node) == CONTENT
            assert await fetched(node) == CONTENT
            wrong = basic(USER.user, "wrong").authorization
            for asker, authorization in ((client, None), (client, wrong), (node, wrong)):
                with pytest.raises(Denied) as caught:
                    await asker.check_blob(BLOB, authorization)
                assert caught.value.status == 401
                assert caught.value.challenge == 'Basic realm="tests"'
            async with node.forward("DELETE", NAME, BLOB.path, {}, None, None) as reply:
                assert reply.status == 401
        refused = [a for a in await registry.accesses() if a.status == 401 and a.method == "GET"]
        assert [a.path for a in refused].count(BLOB.path) == 1


async def test_a_cached_yes_outlives_the_registry(tmp_path: Path) -> None:
    """Access by the registry's word, then by its last word while it is down."""
    now = 0.0
    memory = AccessMemory(300, 10, 3600, lambda: now)
    async with (
        docker_registry(tmp_path, auth=USER) as registry,
        upstream(mapped(registry)) as client,
    ):
        access = Access(client, memory)
        await push_blob(client, REPOSITORY, CONTENT, USER.header)
        grant = await access.check(BLOB, USER.header)
        assert (grant.size, grant.stale) == (len(CONTENT), False)
        with pytest.raises(Denied):
            await access.check(BLOB, None)
        await registry.process.terminate()
        now += 301
        assert (await access.check(BLOB, USER.header)).stale
        with pytest.raises(Unavailable):
            await access.check(BLOB, None)


async def test_tls_is_verified_against_the_registrys_own_ca(tmp_path: Path) -> None:
    """With its CA it is trusted; without, or with another one, the message says why not."""
    tls = issue(tmp_path / "tls")
    other = issue(tmp_path / "other")
    async with docker_registry(tmp_path / "registry", tls=tls) as registry:
        async with upstream(mapped(registry, tls.authority)) as client:
            await push_blob(client, REPOSITORY, CONTENT)
            assert await fetched(client) == CONTENT
        for ca_file in (None, other.authority):
            async with upstream(mapped(registry, ca_file)) as client:
                with pytest.raises(Unavailable, match=r"registry\.test: .*certificate is not trus"):
                    await fetched(client)
        async with upstream(mapped(registry, tmp_path / "missing.pem")) as client:
            with pytest.raises(Unavailable, match=r"missing\.pem.*No such file"):
                await fetched(client)
