"""A real DNS server (dnsmasq) that knows the records it was given, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.process import Process, running

READY = "started, version"


@asynccontextmanager
async def dns_server(
    directory: Path, host: str, port: int, records: Sequence[str], *, namespace: str | None = None
) -> AsyncIterator[Process]:
    """Serve ``records``, written as dnsmasq's options (``host-record=NAME,IP``), with TTL 1."""
    log = directory / "dnsmasq.log"
    before = len(log.read_text()) if log.exists() else 0
    argv = ["dnsmasq", "--keep-in-foreground", "--log-facility=-", "--conf-file=/dev/null"]
    argv += ["--no-resolv", "--no-hosts", "--local=/#/", "--local-ttl=1", "--bind-interfaces"]
    argv += [f"--listen-address={host}", f"--port={port}", "--pid-file=", "--user=root"]

    async def is_ready() -> bool:
        return READY in log.read_text()[before:]

    async with running(
        [*argv, *(f"--{record}" for record in records)],
        log=log,
        namespace=namespace,
        ready=is_ready,
    ) as process:
        yield process
