"""Child processes that cannot outlive their test, with their output in a file."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.waiting import TimedOut, until


class CommandFailed(AssertionError):
    """A child ended with a status that was not expected; the text holds the end of its output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """What a command left behind, with status 0."""

    stdout: str
    stderr: str


class Process:
    """A running child, the leader of its own process group."""

    def __init__(self, child: asyncio.subprocess.Process, *, name: str, log_path: Path) -> None:
        self._child = child
        self.name = name
        self.log_path = log_path

    @property
    def pid(self) -> int:
        """Process id; the wrappers of `command_in` replace themselves by the command."""
        return self._child.pid

    @property
    def status(self) -> int | None:
        """Exit status (negative: killed by that signal), None while it runs."""
        return self._child.returncode

    def log(self) -> str:
        """All output so far, both streams."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_tail(self, lines: int = 40) -> str:
        """The last lines of the output, headed by the process's name."""
        tail = "\n".join(self.log().splitlines()[-lines:])
        return f"--- {self.name} (pid {self.pid}, status {self.status}) ---\n{tail}"

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group; nothing happens once the leader has been reaped."""
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    async def wait(self, *, timeout: float = 60.0) -> int:
        """The exit status; `TimedOut` when it still runs after ``timeout`` seconds."""
        try:
            async with asyncio.timeout(timeout):
                return await self._child.wait()
        except TimeoutError:
            raise TimedOut(f"still running after {timeout} s\n{self.log_tail()}") from None

    async def terminate(self, *, grace: float = 10.0) -> int:
        """SIGTERM, then SIGKILL after ``grace`` seconds; the exit status."""
        self.signal(signal.SIGTERM)
        try:
            return await self.wait(timeout=grace)
        except TimedOut:
            return await self.kill()

    async def kill(self) -> int:
        """SIGKILL to the group; the exit status."""
        self.signal(signal.SIGKILL)
        return await self.wait()


def command_in(namespace: str | None, argv: Sequence[str]) -> list[str]:
    """``argv`` so that the kernel kills it when its parent dies, in a network namespace if named.

    SIGINT has its default meaning, which a shell takes from what it runs in the background. All
    wrappers exec, so the pid is the command's own.
    """
    enter = ["nsenter", f"--net=/run/netns/{namespace}", "--"] if namespace else []
    default = ["env", "--default-signal=INT", "--"]
    return [*enter, "setpriv", "--pdeathsig", "KILL", "--", *default, *argv]


@asynccontextmanager
async def running(
    argv: Sequence[str],
    *,
    log: Path,
    namespace: str | None = None,
    env: Mapping[str, str] | None = None,
    ready: Callable[[], Awaitable[bool]] | None = None,
    timeout: float = 60.0,
    grace: float = 10.0,
) -> AsyncIterator[Process]:
    """Run ``argv`` while the block lasts; its output is appended to ``log``.

    ``ready`` is asked until it says yes; a child that ends before, or is not ready within
    ``timeout`` seconds, fails with the end of its log. ``env`` is added to the environment.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = await asyncio.create_subprocess_exec(
            *command_in(namespace, argv),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
    process = Process(child, name=Path(argv[0]).name, log_path=log)
    try:
        if ready is not None:
            await _until_ready(process, ready, timeout)
        yield process
    finally:
        await asyncio.shield(process.terminate(grace=grace))


async def run(
    argv: Sequence[str],
    *,
    namespace: str | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 120.0,
) -> Completed:
    """Run a command to its end; `CommandFailed` for a status other than 0 or after ``timeout``."""
    child = await asyncio.create_subprocess_exec(
        *command_in(namespace, argv),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(env or {})},
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout):
            stdout, stderr = (part.decode(errors="replace") for part in await child.communicate())
    except TimeoutError:
        raise CommandFailed(f"{' '.join(argv)}: still running after {timeout} s") from None
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            await asyncio.shield(child.communicate())
    if child.returncode:
        output = "\n".join((stdout + stderr).splitlines()[-40:])
        raise CommandFailed(f"{' '.join(argv)}: status {child.returncode}\n{output}")
    return Completed(stdout=stdout, stderr=stderr)


async def _until_ready(
    process: Process, ready: Callable[[], Awaitable[bool]], timeout: float
) -> None:
    async def settled() -> bool:
        return process.status is not None or await ready()

    try:
        await until(settled, what=f"{process.name} to be ready", timeout=timeout)
    except TimedOut as error:
        raise TimedOut(f"{error}\n{process.log_tail()}") from None
    if process.status is not None:
        raise CommandFailed(f"{process.name} ended before it was ready\n{process.log_tail()}")
