"""Secrets of clients and of nodes: in memory and on their way, and nowhere else."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from aiohttp import web

from eagle_node.base.digest import digest_of
from eagle_node.registry.challenge import BearerChallenge
from eagle_node.trust.key import create_key_file
from tests.integration.registry.origin import serving
from tests.integration.registry.token_service import token_registry, token_service
from tests.support import http
from tests.support.images import MANIFEST_TYPE, files_image
from tests.support.node import Node, eagle_node
from tests.support.origin import NAME
from tests.support.process import run
from tests.support.pulls import REPOSITORY, blob_url, manifest_url, pull_blob, pull_image, refusal
from tests.support.registry import Credentials

KIB = 1 << 10
CLIENT = Credentials(user="client", password="marked-secret-of-the-client-5519")
OWN = Credentials(user="robot", password="marked-secret-of-the-node-8830")
OWNER = Credentials(user="owner", password="owner")


@pytest.fixture
def helper(tmp_path: Path) -> Iterator[str]:
    """Name of a credential helper on PATH that knows the node's own password."""
    directory, path = tmp_path / "bin", os.environ["PATH"]
    directory.mkdir()
    program = directory / "docker-credential-marked"
    answer = json.dumps({"ServerURL": NAME, "Username": OWN.user, "Secret": OWN.password})
    program.write_text(
        f"#!/bin/sh\nread -r server\n[ \"$1 $server\" = 'get {NAME}' ] && echo '{answer}'\n"
    )
    program.chmod(0o755)
    os.environ["PATH"] = f"{directory}:{path}"
    yield "marked"
    os.environ["PATH"] = path


async def _told(node: Node) -> list[bytes]:
    """All that the node tells about itself."""
    told = []
    async with http.client() as session:
        for path in ("metrics", "v1/status", "v1/blobs", "v1/members", "v1/transfers"):
            async with session.get(f"{node.api_url}/{path}") as answer:
                assert answer.status == 200
                told.append(await answer.read())
    return told


def _kept(node: Node) -> list[bytes]:
    """All that the node has written, its log among it."""
    paths = [path for path in node.directory.rglob("*") if path.is_file()]
    assert node.process.log_path in paths
    assert any(path.suffix == ".sqlite" for path in paths)
    return [path.read_bytes() for path in paths]


def _assert_none(secrets: Sequence[str], contents: Sequence[bytes]) -> None:
    for secret in secrets:
        assert not any(secret.encode() in content for content in contents), secret


async def test_secrets_are_written_nowhere(tmp_path: Path, helper: str) -> None:
    """A private pull through two nodes by a client's password, and one by a node's own.

    Passwords, headers and tokens are in no log at its most verbose, no file, no status, no metric.
    The node's own credentials are no other node's: there, who shows nothing reads nothing.
    """
    image = files_image(tmp_path / "image", [300 * KIB])
    create_key_file(tmp_path / "key")
    (tmp_path / "config.json").write_text(json.dumps({"credHelpers": {NAME: helper}}))
    async with token_service() as service:
        for who in (CLIENT, OWN, OWNER):
            service.passwords[who.user] = who.password
            service.rights[who.user] = {REPOSITORY: ["pull", "push"]}
        async with token_registry(tmp_path, service) as url:
            await run(
                [
                    *["skopeo", "--insecure-policy", "copy", "--quiet", "--preserve-digests"],
                    *["--dest-tls-verify=false", "--dest-creds", f"{OWNER.user}:{OWNER.password}"],
                    f"oci:{image.layout}:image",
                    f"docker://{url.removeprefix('http://')}/{REPOSITORY}:latest",
                ],
                timeout=120,
            )
            flags = ["--registry", f"{NAME}={url}", "--log-level", "debug"]
            flags += ["--cluster-key-file", str(tmp_path / "key")]
            own = ("--docker-config", str(tmp_path / "config.json"))
            async with (
                eagle_node(tmp_path / "seeder", *flags) as seeder,
                eagle_node(tmp_path / "node", *flags, *own, *seeder.pins) as node,
            ):
                await pull_image(node, image, headers={"Authorization": CLIENT.header})
                await http.download(
                    manifest_url(node, image.digest),
                    digest=image.digest,
                    headers={"Accept": MANIFEST_TYPE},
                )
                await pull_blob(node, image.layers[0].digest)
                for where in (manifest_url, blob_url):
                    digest = image.digest if where is manifest_url else image.layers[0].digest
                    await refusal(where(seeder, digest), status=401)
                told = [*await _told(node), *await _told(seeder)]
                for each in (node, seeder):
                    await each.terminate()
                    told += _kept(each)
        headers = [base64.b64encode(f"{c.user}:{c.password}".encode()) for c in (CLIENT, OWN)]
        passwords = [CLIENT.password, OWN.password]
        assert service.issued
        _assert_none([*passwords, *(each.decode().rstrip("=") for each in headers)], told)
        _assert_none([token.rpartition(".")[2] for token in service.issued], told)


class Expiring:
    """A registry whose every token dies in the middle of the blob that it was shown for."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.digest = digest_of(content)
        self.realm = ""
        self.spent: set[str] = set()
        self.ranges: list[str | None] = []
        self.issued = 0

    async def token(self, _: web.Request) -> web.StreamResponse:
        """1, 2, 3 …, each of them good for an hour, as it says."""
        self.issued += 1
        return web.json_response({"token": str(self.issued), "expires_in": 3600})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """A part of the blob and then the end of the connection; 401 for a token that was used."""
        shown = request.headers.get("Authorization")
        if shown is None or shown in self.spent:
            challenge = BearerChallenge(
                realm=self.realm, service="s", scope="repository:team/app:pull"
            )
            return web.Response(status=401, headers={"WWW-Authenticate": challenge.render()})
        self.spent.add(shown)
        self.ranges.append(request.headers.get("Range"))
        start = request.http_range.start or 0
        response = web.StreamResponse(status=206 if "Range" in request.headers else 200)
        size = len(self.content)
        if response.status == 206:
            response.headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        response.content_length = size - start
        await response.prepare(request)
        await response.write(self.content[start : start + 400 * KIB])
        if size - start > 400 * KIB and request.transport is not None:
            request.transport.close()
        return response


async def test_a_token_that_expires_in_the_middle_is_renewed(tmp_path: Path) -> None:
    """The pull goes on where it broke off; the client notices nothing."""
    registry = Expiring(os.urandom(1000 * KIB))
    async with serving(registry.token) as service, serving(registry.handle) as origin:
        registry.realm = f"{service.url}/token"
        async with eagle_node(tmp_path / "node", "--registry", f"{NAME}={origin.url}") as node:
            await pull_blob(node, registry.digest)
    assert len(registry.ranges) == registry.issued >= 3
    assert registry.ranges[-1] not in (None, "bytes=0-")
