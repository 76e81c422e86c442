"""containerd with ``ctr`` and a hosts directory, as CRI nodes configure it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.clients.route import OFFLINE, Route, short_directory
from tests.support.process import CommandFailed, run, running

CONFIG = """\
version = 2
root = "{directory}/root"
state = "{directory}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{socket}"
"""

SNAPSHOTTER = "native"
"""Copies files, so it works on every file system; overlayfs does not stack on itself."""

CONTENT = "io.containerd.content.v1.content"
"""The content store's directory below the root: ``blobs/sha256/HEX`` and ``ingest/KEY/data``."""


class Containerd:
    """A running containerd."""

    def __init__(
        self, directory: Path, socket: Path, namespace: str | None, env: Mapping[str, str]
    ) -> None:
        self._socket = socket
        self._hosts = directory / "hosts"
        self._store = directory / "root" / CONTENT
        self._namespace = namespace
        self._env = env

    async def is_up(self) -> bool:
        """Whether it answers."""
        try:
            await self._ctr("version")
        except CommandFailed:
            return False
        return True

    async def pull(self, reference: str, *, user: str = "") -> str:
        """Pull and unpack; the digest of the manifest."""
        pull = ["images", "pull", "--hosts-dir", str(self._hosts), "--snapshotter", SNAPSHOTTER]
        await self._ctr(*pull, *(["--user", user] if user else []), reference)
        for line in (await self._ctr("images", "ls", f"name=={reference}")).splitlines()[1:]:
            return line.split()[2]
        raise CommandFailed(f"containerd does not list {reference} after pulling it")

    async def fetch(self, reference: str, *, user: str = "", timeout: float = 300) -> None:
        """Pull manifest, config and layers into the content store, and unpack nothing."""
        fetch = ["content", "fetch", "--hosts-dir", str(self._hosts)]
        fetch += ["--user", user] if user else []
        await self._ctr(*fetch, reference, timeout=timeout)

    def received(self) -> int:
        """Bytes in the content store's files, those of unfinished blobs included."""
        files = [*self._store.glob("blobs/sha256/*"), *self._store.glob("ingest/*/data")]
        return sum(_size(file) for file in files)

    def stored(self) -> frozenset[str]:
        """Digests of the content store's blobs, computed from their bytes."""
        found = set()
        for path in self._store.glob("blobs/sha256/*"):
            with path.open("rb") as file:
                found.add(f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}")
        return frozenset(found)

    async def remove(self, reference: str) -> None:
        """Remove an image, and at once all content that no other image needs."""
        await self._ctr("images", "rm", "--sync", reference)

    def file(self, digest: str) -> Path:
        """The content store's file of a blob."""
        return self._store / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def configure(self, name: str, text: str) -> None:
        """Write ``hosts.toml`` of the hosts directory's directory ``name``; it is read at once."""
        file = self._hosts / name / "hosts.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    async def labels(self) -> str:
        """All content with its labels, as ``ctr content ls`` prints them."""
        return await self._ctr("content", "ls")

    async def content(self) -> frozenset[str]:
        """Digests of all blobs and manifests in the content store."""
        return frozenset((await self._ctr("content", "ls", "--quiet")).split())

    async def run(self, reference: str) -> None:
        """Run the command of a pulled image in a container to its end; fails unless status 0."""
        await self._ctr("run", "--rm", "--snapshotter", SNAPSHOTTER, reference, self._socket.stem)

    async def _ctr(self, *arguments: str, timeout: float = 300) -> str:
        argv = ["ctr", "--address", str(self._socket), *arguments]
        done = await run(argv, namespace=self._namespace, env=self._env, timeout=timeout)
        return done.stdout


@asynccontextmanager
async def containerd(
    directory: Path,
    *routes: Route,
    namespace: str | None = None,
    env: Mapping[str, str] = OFFLINE,
) -> AsyncIterator[Containerd]:
    """Run containerd; ``ctr`` resolves and fetches, so it runs in the same namespace."""
    with short_directory() as sockets:
        socket = sockets / "containerd.sock"
        config = _write_config(directory, socket, routes)
        client = Containerd(directory, socket, namespace, env)
        async with running(
            ["containerd", "--config", str(config)],
            log=directory / "containerd.log",
            namespace=namespace,
            env=env,
            ready=client.is_up,
        ):
            yield client


def _write_config(directory: Path, socket: Path, routes: Sequence[Route]) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for route in routes:
        hosts = directory / "hosts" / route.name / "hosts.toml"
        hosts.parent.mkdir(parents=True)
        lines = [f'server = "http://{route.origin}"'] if route.origin else []
        if route.mirror:
            lines += [f'[host."http://{route.mirror}"]', 'capabilities = ["pull", "resolve"]']
        hosts.write_text("\n".join([*lines, ""]))
    config = directory / "config.toml"
    config.write_text(CONFIG.format(directory=directory, socket=socket))
    return config


def _size(path: Path) -> int:
    """Bytes of a file; none when it was renamed meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
