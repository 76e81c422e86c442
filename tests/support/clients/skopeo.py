"""skopeo, which copies images into OCI layouts."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.clients.registries_conf import write_policy, write_registries_conf
from tests.support.clients.route import OFFLINE, Route
from tests.support.process import run


class Skopeo:
    """skopeo keeps nothing: every pull goes into a layout of its own."""

    def __init__(
        self,
        directory: Path,
        registries: Path,
        policy: Path,
        namespace: str | None,
        env: Mapping[str, str],
    ) -> None:
        self._directory = directory
        self._settings = ["--registries-conf", str(registries), "--policy", str(policy)]
        self._namespace = namespace
        self._env = env
        self._layouts = itertools.count()

    async def pull(self, reference: str, *, user: str = "") -> str:
        """Copy into a fresh layout; the digest of the manifest."""
        layout = self._directory / f"layout-{next(self._layouts)}"
        digest = layout.with_suffix(".digest")
        copy = [
            "copy",
            *(["--src-creds", user] if user else []),
            "--quiet",
            "--preserve-digests",
            "--digestfile",
            str(digest),
        ]
        await run(
            ["skopeo", *self._settings, *copy, f"docker://{reference}", f"oci:{layout}:image"],
            namespace=self._namespace,
            env=self._env,
            timeout=300,
        )
        return digest.read_text().strip()


@asynccontextmanager
async def skopeo(
    directory: Path,
    *routes: Route,
    namespace: str | None = None,
    env: Mapping[str, str] = OFFLINE,
) -> AsyncIterator[Skopeo]:
    """skopeo with settings of its own."""
    registries = write_registries_conf(directory, routes)
    yield Skopeo(directory, registries, write_policy(directory), namespace, env)
