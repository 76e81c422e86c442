"""Fetches by a client process of its own, so that its work is not the measuring process's."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from dataclasses import dataclass

from tests.support.http import BadAnswer
from tests.support.process import command_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A body that was read to its end."""

    seconds: float
    """From the request to the last byte; the client was up before."""
    cpu_s: float
    """Of the client meanwhile."""
    digest: str | None
    """``sha256:`` and hex, when it was asked for."""


async def fetch(url: str, *, hashed: bool, namespace: str | None = None) -> Fetched:
    """GET ``url`` with `tests.bench.sink` in a network namespace; `BadAnswer` when that fails."""
    options = ["--sha256"] if hashed else []
    argv = command_in(namespace, [sys.executable, "-m", "tests.bench.sink", *options, url])
    pipe = asyncio.subprocess.PIPE
    sink = await asyncio.create_subprocess_exec(
        *argv, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
    )
    try:
        assert sink.stdout is not None
        await sink.stdout.readline()
        output, errors = await sink.communicate(b"go\n")
    finally:
        if sink.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                sink.kill()
            await sink.wait()
    if sink.returncode:
        raise BadAnswer(f"GET {url}: {errors.decode(errors='replace').strip()}")
    started, finished, cpu_s, *digest = output.decode().split()
    return Fetched(
        seconds=float(finished) - float(started),
        cpu_s=float(cpu_s),
        digest=f"sha256:{digest[0]}" if digest else None,
    )
