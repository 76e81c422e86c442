"""A real eagle-node process on ports of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support import http
from tests.support.process import Process, running

ANY_PORT = (
    *("--swarm-port", "0", "--swarm-ssl-port", "0"),
    *("--metainfo-port", "0", "--tracker-port", "0"),
)


class Node:
    """A node that runs, and can be killed and started again on the same data directory."""

    def __init__(self, directory: Path, argv: Sequence[str], *, host: str, namespace: str | None):
        self.directory = directory
        """Holds ``data`` (the data directory) and the log."""
        self.host = host
        """Address that other nodes reach it at."""
        self.namespace = namespace
        self._argv = argv
        self._run = AsyncExitStack()
        self._process: Process | None = None
        self._ports: dict[str, int] = {}

    @property
    def process(self) -> Process:
        """The process of the latest start."""
        assert self._process is not None, "the node was never started"
        return self._process

    @property
    def proxy_address(self) -> str:
        """``host:port`` of the mirror and forward proxy, on the node's loopback."""
        return f"127.0.0.1:{self._ports['proxy']}"

    @property
    def proxy_url(self) -> str:
        """Base URL of the mirror and forward proxy."""
        return f"http://{self.proxy_address}"

    @property
    def api_url(self) -> str:
        """Base URL of the control API."""
        return f"http://127.0.0.1:{self._ports['api']}"

    @property
    def metainfo(self) -> str:
        """``host:port`` of the seeder's metainfo service, as ``--seeder`` takes it."""
        return f"{self.host}:{self._ports['metainfo']}"

    @property
    def tracker_url(self) -> str:
        """Base URL of the tracker, as ``--tracker`` takes it."""
        return f"http://{self.host}:{self._ports['tracker']}"

    @property
    def swarm_port(self) -> int:
        """Where other nodes get blobs."""
        return self._ports["swarm"]

    @property
    def pins(self) -> tuple[str, ...]:
        """Flags of a node that is proxy and peer only and uses this seeder and tracker."""
        roles = ("--role", "proxy,peer")
        return (*roles, "--seeder", self.metainfo, "--tracker", self.tracker_url)

    def log(self) -> str:
        """All output of all starts."""
        return self.process.log()

    async def status(self) -> dict[str, Any]:
        """The document of ``/v1/status``."""
        document: dict[str, Any] = await http.get_json(
            f"{self.api_url}/v1/status", namespace=self.namespace
        )
        return document

    async def start(self, *, timeout: float = 60.0) -> None:
        """Start the process and wait until ``/readyz`` says yes."""
        ports = self.directory / "data" / "ports.json"
        ports.unlink(missing_ok=True)

        async def is_ready() -> bool:
            self._ports = _read_ports(ports)
            return bool(self._ports) and await http.answers(
                f"{self.api_url}/readyz", namespace=self.namespace
            )

        self._process = await self._run.enter_async_context(
            running(
                self._argv,
                log=self.directory / "node.log",
                namespace=self.namespace,
                ready=is_ready,
                timeout=timeout,
            )
        )

    async def terminate(self) -> int:
        """SIGTERM; the exit status."""
        return await self.process.terminate()

    async def kill(self) -> int:
        """SIGKILL, as a crash; the exit status."""
        return await self.process.kill()

    async def restart(self) -> None:
        """Stop (unless it has ended) and start again; ports change."""
        await self.terminate()
        await self.start()

    async def aclose(self) -> None:
        """Stop the process."""
        await self._run.aclose()


@asynccontextmanager
async def eagle_node(
    directory: Path,
    *flags: str,
    host: str = "127.0.0.1",
    namespace: str | None = None,
    program: Sequence[str] = (sys.executable, "-m", "eagle_node"),
) -> AsyncIterator[Node]:
    """Run ``eagle-node run`` with ``flags`` while the block lasts, ready at its start.

    ``host`` is the address that the node advertises and its peers use; the proxy and the API stay
    on loopback (of ``namespace``, when given). ``program`` starts eagle-node where it is packaged.
    """
    argv = [
        *[*program, "run", "--data-dir", str(directory / "data")],
        *["--advertise", host, "--proxy-listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0"],
        *ANY_PORT,
        *flags,
    ]
    node = Node(directory, argv, host=host, namespace=namespace)
    try:
        await node.start()
        yield node
    finally:
        await node.aclose()


def _read_ports(path: Path) -> dict[str, int]:
    try:
        ports: dict[str, int] = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return ports
