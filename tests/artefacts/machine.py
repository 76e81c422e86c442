"""A Debian that systemd runs: processes, mounts, host name, control groups and network of its own.

systemd wants to be the first process. It is the first of a namespace of processes, below a control
group that is removed with everything in it, in a root directory that keeps changes to itself
(overlayfs); `boot.sh` makes what it finds there. The kernel is shared, so it has neither the right
to load modules nor to set the clock, and reads the kernel's settings only.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from tests.artefacts.starts import CHROOT, MAKE_ROOT_S, RELEASE
from tests.support.process import CommandFailed, Completed, Process, run, running
from tests.support.waiting import until

BOOT = Path(__file__).with_name("boot.sh")
BOOT_S = 120.0
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

PACKAGES = ("dbus", "iproute2", "systemd-sysv")
"""Beside a minimal Debian: what makes it a machine that can be logged in to and looked at."""
KEPT_DEBS = ("adduser", "ca-certificates")
"""What eagle-node depends on: not installed, but at hand for apt, which has no network there."""

_sequence = itertools.count()


class Machine:
    """A running system."""

    def __init__(self, root: Path, init: int) -> None:
        self.root = root
        """Its files, as its own first process sees them but for what is mounted there."""
        self.enter = ["nsenter", f"--target={init}", "--all", "--wd=/", "env", "-i", PATH]
        """Words before those of a command that is to run in it, as root."""

    async def run(self, *argv: str, timeout: float = 120.0) -> str:
        """What a command prints; `CommandFailed` if it fails."""
        return (await self.done(*argv, timeout=timeout)).stdout

    async def done(self, *argv: str, timeout: float = 120.0) -> Completed:
        """Run a command to its end; `CommandFailed` if it fails."""
        return await run([*self.enter, "LC_ALL=C.UTF-8", "SYSTEMD_PAGER=", *argv], timeout=timeout)

    async def refuses(self, *argv: str) -> str:
        """What a command says that has to fail."""
        try:
            told = await self.run(*argv)
        except CommandFailed as error:
            return str(error)
        raise AssertionError(f"{' '.join(argv)} succeeds: {told}")

    async def shows(self, unit: str, key: str) -> str:
        """One property of a unit (``systemctl show``)."""
        return (await self.run("systemctl", "show", "--value", f"--property={key}", unit)).strip()


@asynccontextmanager
async def machine(root: Path, *, namespace: str, log: Path) -> AsyncIterator[Machine]:
    """Boot the system in ``root``, in that network namespace; it is off at the end."""
    async with _control_group() as group:
        unshare = ["unshare", "-pmuiC", "--fork", "--kill-child", str(BOOT), str(root)]
        argv = ["sh", "-c", 'echo 0 >"$0/cgroup.procs"; exec "$@"', str(group), *unshare]
        async with running(argv, log=log, namespace=namespace) as process:
            booted = Machine(root, await _first_child(process))
            await _until_booted(booted, process)
            try:
                yield booted
            finally:
                with contextlib.suppress(CommandFailed):
                    await asyncio.shield(booted.run("systemctl", "--no-block", "poweroff"))
                    await asyncio.shield(process.wait(timeout=BOOT_S))


@contextmanager
def root_over(base: Path, directory: Path) -> Iterator[Path]:
    """A root directory that begins as ``base``, and keeps its changes in ``directory``."""
    root, changes, scratch = (directory / name for name in ("root", "changes", "scratch"))
    for path in (root, changes, scratch):
        path.mkdir(parents=True)
    layers = f"lowerdir={base},upperdir={changes},workdir={scratch}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(root)], check=True)
    try:
        yield root
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=True)


async def debian_with_systemd(work: Path) -> Path:
    """A minimal Debian with systemd; made once; it holds packages that it has yet to install."""
    root = work / f"machine-{RELEASE}"
    if not root.exists():
        part = root.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        include = f"--include={','.join(PACKAGES)}"
        command = ["debootstrap", "--variant=minbase", include, RELEASE, str(part)]
        await run(command, timeout=MAKE_ROOT_S)
        inside = ["env", "-i", PATH, CHROOT, str(part)]
        await run([*inside, "apt-get", "update"], timeout=MAKE_ROOT_S)
        fetch = ["apt-get", "install", "--yes", "--no-install-recommends", "--download-only"]
        await run([*inside, *fetch, *KEPT_DEBS], timeout=MAKE_ROOT_S)
        (part / "etc" / "machine-id").write_text("")  # each gets its own (machine-id(5))
        part.rename(root)
    return root


@asynccontextmanager
async def _control_group() -> AsyncIterator[Path]:
    """A control group (version 2); what still runs in it at the end is killed."""
    group = _hierarchy() / f"eagle-machine-{os.getpid()}-{next(_sequence)}"
    group.mkdir()
    try:
        yield group
    finally:
        (group / "cgroup.kill").write_text("1")

        async def is_empty() -> bool:
            return "populated 0" in (group / "cgroup.events").read_text()

        await asyncio.shield(until(is_empty, what=f"the end of all processes of {group}"))
        for below in sorted(group.rglob("*/"), reverse=True):
            below.rmdir()
        group.rmdir()


def _hierarchy() -> Path:
    """Where control groups of version 2 are mounted: alone, or beside those of version 1."""
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    found = [Path(words[4]) for words in mounts if words[words.index("-") + 1] == "cgroup2"]
    assert found, "no control groups of version 2 are mounted on this machine"
    return found[0]


async def _first_child(process: Process) -> int:
    """The first process of the new namespace, once it is there."""
    pid = process.pid

    async def is_there() -> bool:
        return bool(_children(pid))

    await until(is_there, what=f"a child of {process.name}")
    return _children(pid)[0]


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def _until_booted(booted: Machine, process: Process) -> None:
    """Wait until systemd has started all that there is, and nothing of it has failed."""
    state = ""

    async def is_settled() -> bool:
        nonlocal state
        assert process.status is None, process.log_tail()
        asked = await booted.done("sh", "-c", "systemctl is-system-running || true")
        state = asked.stdout.strip()
        return state in ("running", "degraded")

    await until(is_settled, what="systemd to have started everything", timeout=BOOT_S, interval=0.2)
    assert state == "running", await booted.run("systemctl", "--failed")
