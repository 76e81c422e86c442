"""dockerd through its HTTP API, with ``registry-mirrors`` (which serve docker.io only)."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import aiohttp
from yarl import URL

from tests.support import http
from tests.support.clients.route import OFFLINE, Route, short_directory
from tests.support.process import CommandFailed, run, running

DOCKER_HUB = "docker.io"


class Dockerd:
    """A running dockerd."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    @property
    def url(self) -> str:
        """What ``DOCKER_HOST`` takes."""
        return f"unix://{self._socket}"

    async def is_up(self) -> bool:
        """Whether it answers."""
        try:
            async with self._api() as session, session.get("http://docker/_ping") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def pull(self, reference: str, *, user: str = "") -> str:
        """Pull and unpack; the digest of the manifest."""
        name, _, tag = reference.rpartition(":")
        url = URL("http://docker/images/create").with_query(fromImage=name, tag=tag)
        headers = {"X-Registry-Auth": _auth(user)} if user else None
        async with self._api() as session, session.post(url, headers=headers) as answer:
            progress = [json.loads(line) async for line in answer.content]
        for line in progress:
            if "error" in line or "message" in line:
                raise CommandFailed(f"dockerd cannot pull {reference}: {line}")
        for line in reversed(progress):
            if line.get("status", "").startswith("Digest: "):
                return str(line["status"].removeprefix("Digest: "))
        raise CommandFailed(f"dockerd does not tell the digest of {reference}: {progress[-3:]}")

    async def push(self, reference: str, target: str, *, user: str = "") -> None:
        """Push an image that was pulled as ``reference`` to ``registry/repository:tag``."""
        name, _, tag = target.rpartition(":")
        image = f"http://docker/images/{reference}/tag"
        async with self._api() as session:
            async with session.post(URL(image).with_query(repo=name, tag=tag)) as answer:
                if answer.status != 201:
                    raise CommandFailed(f"dockerd cannot tag {target}: {await answer.text()}")
            url = URL(f"http://docker/images/{name}/push").with_query(tag=tag)
            async with session.post(url, headers={"X-Registry-Auth": _auth(user)}) as answer:
                progress = [json.loads(line) async for line in answer.content]
        for line in progress:
            if "error" in line or "message" in line:
                raise CommandFailed(f"dockerd cannot push {target}: {line}")

    def _api(self) -> AbstractAsyncContextManager[aiohttp.ClientSession]:
        return http.client(unix_socket=self._socket)


@asynccontextmanager
async def dockerd(
    directory: Path,
    *routes: Route,
    namespace: str | None = None,
    env: Mapping[str, str] = OFFLINE,
) -> AsyncIterator[Dockerd]:
    """Run dockerd, which starts a containerd of its own; no bridge, no firewall rules.

    ``env`` holds the proxies that it uses for registries: a node's forward proxy goes there.
    """
    with short_directory() as sockets:
        config = _write_config(directory, routes)
        client = Dockerd(sockets / "docker.sock")
        async with running(
            [
                *["dockerd", "--config-file", str(config)],
                *["--host", f"unix://{sockets / 'docker.sock'}"],
                *["--data-root", str(directory / "data"), "--exec-root", str(sockets / "exec")],
                *["--pidfile", str(directory / "docker.pid"), "--bridge=none"],
                *["--iptables=false", "--ip6tables=false", "--ip-forward=false"],
            ],
            log=directory / "dockerd.log",
            namespace=namespace,
            env=env,
            ready=client.is_up,
            timeout=60.0,
            grace=20.0,
        ):
            yield client
        for place in _mounts_below(sockets):  # of containers on the host's network
            await run(["umount", place])


def _mounts_below(directory: Path) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    places = [line.split()[4] for line in lines]
    return [place for place in places if Path(place).is_relative_to(directory)]


def _auth(user: str) -> str:
    """The header with a registry's ``user:password``, as the Engine API wants it."""
    name, _, password = user.partition(":")
    document = json.dumps({"username": name, "password": password})
    return base64.urlsafe_b64encode(document.encode()).decode()


def _write_config(directory: Path, routes: Sequence[Route]) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    mirrors = [
        f"http://{route.mirror}" for route in routes if route.name == DOCKER_HUB and route.mirror
    ]
    insecure = [route.name for route in routes if route.name != DOCKER_HUB]
    config = directory / "daemon.json"
    config.write_text(json.dumps({"registry-mirrors": mirrors, "insecure-registries": insecure}))
    return config
