"""podman on a storage root of its own, with the vfs driver."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.clients.registries_conf import write_policy, write_registries_conf
from tests.support.clients.route import OFFLINE, Route, short_directory
from tests.support.process import run


class Podman:
    """podman has no daemon: every call is a process."""

    def __init__(
        self,
        directory: Path,
        registries: Path,
        run_root: Path,
        policy: Path,
        namespace: str | None,
        env: Mapping[str, str],
    ) -> None:
        self._storage = [
            *["--root", str(directory / "root"), "--tmpdir", str(directory / "tmp")],
            *["--runroot", str(run_root), "--storage-driver", "vfs"],
        ]
        self._env = {**env, "CONTAINERS_REGISTRIES_CONF": str(registries)}
        self._policy = policy
        self._namespace = namespace

    async def pull(self, reference: str, *, user: str = "") -> str:
        """Pull and unpack; the digest of the manifest."""
        pull = ["pull", "--quiet", "--signature-policy", str(self._policy)]
        await self._podman(*pull, *(["--creds", user] if user else []), reference)
        digest = await self._podman("image", "inspect", "--format", "{{.Digest}}", reference)
        return digest.strip()

    async def push(self, reference: str, target: str, *, user: str = "") -> None:
        """Push an image that was pulled as ``reference`` to ``registry/repository:tag``."""
        arguments = ["push", "--quiet", "--tls-verify=false"]
        arguments += ["--signature-policy", str(self._policy)]
        await self._podman(*arguments, *(["--creds", user] if user else []), reference, target)

    async def _podman(self, *arguments: str) -> str:
        argv = ["podman", *self._storage, *arguments]
        return (await run(argv, namespace=self._namespace, env=self._env, timeout=300)).stdout


@asynccontextmanager
async def podman(
    directory: Path,
    *routes: Route,
    namespace: str | None = None,
    env: Mapping[str, str] = OFFLINE,
) -> AsyncIterator[Podman]:
    """podman with empty storage."""
    registries = write_registries_conf(directory, routes)
    with short_directory() as run_root:
        yield Podman(directory, registries, run_root, write_policy(directory), namespace, env)
