"""The node's own credentials, as docker keeps them."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path

from eagle_node.base.errors import Unavailable
from eagle_node.registry.docker_config import (
    Credential,
    DockerConfig,
    helper_server,
    parse_docker_config,
    parse_helper_reply,
)
from eagle_node.runtime.clock import Clock, monotonic
from eagle_node.runtime.singleflight import SingleFlight

log = logging.getLogger(__name__)

HELPER_TTL_S = 60.0
"""How long a helper's answer is reused: a process for each blob would cost more than the blob."""

_NOT_FOUND = b"credentials not found"
"""How a helper says that it has none (docker-credential-helpers, credentials/error.go)."""

_Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Remembered:
    credential: Credential | None
    until: float


class Credentials:
    """Looks up the credential of a registry in the ``config.json`` at ``path``, if any.

    The file is read again when it changes; a missing one holds no credentials. A malformed file,
    and a helper that fails or takes more than ``helper_timeout_s``, raise `Unavailable`: they are
    this node's fault, and asking the registry anonymously instead would hide it.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        helper_timeout_s: float = 10.0,
        clock: Clock = monotonic,
    ) -> None:
        self._path = path
        self._helper_timeout_s = helper_timeout_s
        self._clock = clock
        self._version: _Version | None = None
        self._config = DockerConfig()
        self._is_missing = False
        self._answers: dict[str, _Remembered] = {}
        self._asking: SingleFlight[str, Credential | None] = SingleFlight("credential helper")

    def look(self) -> None:
        """Have the log say what is wrong with the file before anybody needs it."""
        try:
            self._current()
        except Unavailable as error:
            log.warning("%s (--docker-config)", error)

    async def get(self, registry: str) -> Credential | None:
        """The node's credential for ``registry``; None: it has none."""
        config = self._current()
        helper = config.helper(registry)
        if helper:
            credential = await self._from_helper(helper, registry)
            if credential is not None:
                return credential
        return config.credentials.get(registry)

    def _current(self) -> DockerConfig:
        if self._path is None:
            return self._config
        try:
            status = self._path.stat()
            version = (status.st_mtime_ns, status.st_ino, status.st_size)
            if version != self._version:
                self._config = parse_docker_config(self._path.read_text("utf-8"))
                self._answers.clear()
                self._version = version
            self._note_missing(False)
        except FileNotFoundError:
            self._config, self._version = DockerConfig(), None
            self._note_missing(True)
        except OSError as error:
            raise Unavailable(f"cannot read credentials {self._path}: {error.strerror}") from error
        except ValueError as error:
            raise Unavailable(f"malformed credentials file {self._path}: {error}") from None
        return self._config

    def _note_missing(self, missing: bool) -> None:
        if missing and not self._is_missing:
            log.warning(
                "there is no %s (--docker-config): clients that send no credentials have none",
                self._path,
            )
        elif self._is_missing and not missing:
            log.info("%s (--docker-config) is there", self._path)
        self._is_missing = missing

    async def _from_helper(self, helper: str, registry: str) -> Credential | None:
        known = self._answers.get(registry)
        if known is not None and self._clock() < known.until:
            return known.credential
        credential = await self._asking.run(registry, lambda: self._ask(helper, registry))
        self._answers[registry] = _Remembered(credential, self._clock() + HELPER_TTL_S)
        return credential

    async def _ask(self, helper: str, registry: str) -> Credential | None:
        program = f"docker-credential-{helper}"
        try:
            process = await asyncio.create_subprocess_exec(
                program,
                "get",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError as error:
            raise Unavailable(f"cannot run {program}: {error.strerror}") from error
        try:
            async with asyncio.timeout(self._helper_timeout_s):
                output, _ = await process.communicate(helper_server(registry).encode())
        except TimeoutError:
            raise Unavailable(
                f"{program} gave no answer for {registry} within {self._helper_timeout_s:g} s"
            ) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            if _NOT_FOUND in output:
                return None
            raise Unavailable(f"{program} failed for {registry} (status {process.returncode})")
        try:
            return parse_helper_reply(output.decode())
        except ValueError:
            raise Unavailable(f"{program} gave no credential for {registry}") from None
