"""Runs a command in a root directory as systemd would run it in a unit, without systemd.

    python confined.py --unit FILE [--unit DROP_IN] --root DIR --state DIR --user UID:GID -- ARGV …

``--state`` is what the unit may write beside its own ``/tmp``: its state directory, below ``DIR``
or under the same name in it. Mounts, user,
capabilities, limits and system call filters are those of the unit's lines, as systemd.exec(5)
describes them; a line that is neither applied here nor listed as `NOT_APPLIED` is an error. Needs
root, libseccomp, and ``systemd-analyze`` for the names of system calls.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

NOT_APPLIED = {
    # how it is started and stopped
    *("Type", "ExecStart", "Restart", "RestartSec", "RestartPreventExitStatus", "TimeoutStopSec"),
    # given by --user and --state
    *("User", "Group", "StateDirectory", "StateDirectoryMode"),
    # what the filter and the missing capabilities forbid in any case, or what a control group does
    *("ProtectClock", "ProtectControlGroups", "ProtectHostname", "ProtectKernelLogs"),
    *("ProtectKernelModules", "ProtectKernelTunables", "RemoveIPC", "KeyringMode"),
    *("LockPersonality", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID"),
    *("SystemCallArchitectures", "SystemCallErrorNumber", "NoNewPrivileges"),
    *("MemoryHigh", "MemoryMax", "CPUWeight", "IOWeight"),
}

CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13}
LAST_CAPABILITY = Path("/proc/sys/kernel/cap_last_cap")

# mount(2), unshare(2)
MS_RDONLY, MS_NOSUID, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 32, 4096, 16384, 1 << 18
CLONE_NEWNS = 0x20000

# prctl(2)
PDEATHSIG, KEEPCAPS, CAPBSET_DROP, NO_NEW_PRIVS, CAP_AMBIENT, MDWE = 1, 8, 24, 38, 47, 65
AMBIENT_RAISE = 2
SIGKILL = 9

# seccomp_init(3), seccomp_rule_add(3)
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
LESS, EQUAL, GREATER = 2, 4, 6

CAPSET_VERSION = 0x20080522

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")

libc = ctypes.CDLL(None, use_errno=True)


class Comparison(ctypes.Structure):
    """``struct scmp_arg_cmp`` of libseccomp."""

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("value", ctypes.c_uint64),
        ("mask", ctypes.c_uint64),
    )


def main() -> None:
    """Confine this process, then become the command."""
    parser = argparse.ArgumentParser(prog="confined")
    parser.add_argument("--unit", type=Path, action="append", required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--user", required=True)
    parser.add_argument("argv", nargs="+")
    arguments = parser.parse_args()
    unit = read_unit(arguments.unit)
    calls = allowed_calls(unit["SystemCallFilter"])
    filters = Filters(ctypes.CDLL("libseccomp.so.2"))
    last = int(LAST_CAPABILITY.read_text())
    uid, gid = map(int, arguments.user.split(":"))
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]  # raised by CAP_SYS_RESOURCE only
    limit = min(int(unit["LimitNOFILE"][-1]), most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    mount_everything(unit, arguments.root, arguments.state)
    os.chroot(arguments.root)
    os.chdir("/")
    kept = [CAPABILITIES[name] for name in unit["CapabilityBoundingSet"]]
    become(uid, gid, kept, set(range(last + 1)) - set(kept))
    if unit["MemoryDenyWriteExecute"] == ["yes"]:
        prctl(MDWE, 1)
    filters.families(unit["RestrictAddressFamilies"])
    filters.calls(calls)
    os.umask(int(unit["UMask"][-1], 8))
    os.execv(arguments.argv[0], arguments.argv)


def read_unit(files: Iterable[Path]) -> dict[str, list[str]]:
    """The words of the keys of ``[Service]``; an empty value takes back what stood before it."""
    keys: dict[str, list[str]] = {}
    for file in files:
        section = ""
        for line in map(str.strip, file.read_text().splitlines()):
            if line.startswith("["):
                section = line
            elif section == "[Service]" and "=" in line and not line.startswith("#"):
                key, _, value = line.partition("=")
                keys[key] = [*keys.get(key, []), *value.split()] if value else []
    if unknown := keys.keys() - NOT_APPLIED - APPLIED:
        sys.exit(f"confined: nothing is known of {', '.join(sorted(unknown))}")
    return keys


def mount_everything(unit: dict[str, list[str]], root: Path, state: Path) -> None:
    """Make the unit's view of the files below ``root``, in a mount namespace of its own."""
    checked(libc.unshare, CLONE_NEWNS)
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    mount(root, root, flags=MS_BIND | MS_REC)
    if unit["ProtectSystem"] == ["strict"]:
        mount("none", root, flags=MS_REMOUNT | MS_BIND | MS_RDONLY)
    if unit["ProtectHome"] == ["yes"]:
        for name in ("home", "root"):
            mount("tmpfs", root / name, kind="tmpfs", flags=MS_RDONLY, data="mode=0000")
    if unit["PrivateTmp"] == ["yes"]:
        for name in ("tmp", "var/tmp"):
            mount("tmpfs", root / name, kind="tmpfs", flags=MS_NOSUID, data="mode=1777")
    inside = state if state.is_relative_to(root) else root / str(state).lstrip("/")
    inside.mkdir(parents=True, exist_ok=True)
    mount(state, inside, flags=MS_BIND)
    mount("none", inside, flags=MS_REMOUNT | MS_BIND)  # a bind mount takes over "read-only"
    if unit["PrivateDevices"] == ["yes"]:
        _mount_devices(root / "dev")
    if unit["ProtectProc"] == ["invisible"]:
        subset = f"hidepid=invisible,subset={unit['ProcSubset'][-1]}"
        mount("proc", root / "proc", kind="proc", flags=MS_NOSUID, data=subset)


def become(uid: int, gid: int, kept: Sequence[int], dropped: Iterable[int]) -> None:
    """Be that user for good, with the capabilities ``kept`` and no others to be had."""
    for number in dropped:
        prctl(CAPBSET_DROP, number)
    prctl(KEEPCAPS, 1)
    os.setgroups([gid])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    mask = sum(1 << number for number in kept)
    header = (ctypes.c_uint32 * 2)(CAPSET_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
    checked(libc.capset, header, sets)
    for number in kept:
        prctl(CAP_AMBIENT, AMBIENT_RAISE, number)
    prctl(NO_NEW_PRIVS, 1)
    prctl(PDEATHSIG, SIGKILL)  # a change of user has cleared it


def allowed_calls(words: Iterable[str]) -> set[str]:
    """System calls that ``SystemCallFilter=`` allows: groups are added, or taken away by ``~``."""
    groups = _groups()

    def calls(name: str) -> set[str]:
        inside = groups.get(name)
        return {name} if inside is None else set().union(*map(calls, inside))

    allowed: set[str] = set()
    for word in words:
        names = calls(word.removeprefix("~"))
        allowed = allowed - names if word.startswith("~") else allowed | names
    return allowed


class Filters:
    """Filters of system calls, as libseccomp writes them."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.seccomp_init.restype = ctypes.c_void_p

    def calls(self, names: Iterable[str]) -> None:
        """Refuse all others with EPERM."""
        rules = ctypes.c_void_p(self._library.seccomp_init(ERRNO | errno.EPERM))
        for name in names:
            self._rule(rules, ALLOW, name, None)
        self._load(rules)

    def families(self, names: Iterable[str]) -> None:
        """Refuse sockets of other families with EAFNOSUPPORT."""
        wanted = {int(getattr(socket, name)) for name in names}
        rules = ctypes.c_void_p(self._library.seccomp_init(ALLOW))
        refused = [Comparison(0, LESS, min(wanted), 0), Comparison(0, GREATER, max(wanted), 0)]
        between = set(range(min(wanted), max(wanted))) - wanted
        for comparison in [*refused, *(Comparison(0, EQUAL, each, 0) for each in between)]:
            self._rule(rules, ERRNO | errno.EAFNOSUPPORT, "socket", comparison)
        self._load(rules)

    def _rule(
        self, rules: ctypes.c_void_p, action: int, name: str, comparison: Comparison | None
    ) -> None:
        number = self._library.seccomp_syscall_resolve_name(name.encode())
        if number == -1:  # newer than this libseccomp, which the filter then refuses
            return
        array = ctypes.byref(comparison) if comparison is not None else None
        count = 1 if comparison is not None else 0
        self._done(self._library.seccomp_rule_add_array(rules, action, number, count, array))

    def _load(self, rules: ctypes.c_void_p) -> None:
        self._done(self._library.seccomp_load(rules))

    @staticmethod
    def _done(result: int) -> None:
        if result < 0:
            raise OSError(-result, os.strerror(-result), "libseccomp")


def mount(source: object, target: object, *, kind: str = "", flags: int, data: str = "") -> None:
    """mount(2)."""
    words = [str(each).encode() for each in (source, target, kind)]
    checked(libc.mount, *words, ctypes.c_ulong(flags), data.encode() or None)


def prctl(option: int, *values: int) -> None:
    """prctl(2)."""
    words = [*values, 0, 0, 0, 0][:4]
    checked(libc.prctl, option, *map(ctypes.c_ulong, words))


def checked(function: Callable[..., int], *arguments: object) -> None:
    """Call the C library; `OSError` if it fails."""
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        shown = [each for each in arguments if isinstance(each, (bytes, int))]
        raise OSError(number, os.strerror(number), str(shown))


def _mount_devices(target: Path) -> None:
    """The harmless devices and shared memory only."""
    held = {name: os.open(f"/dev/{name}", os.O_PATH) for name in DEVICES}
    mount("tmpfs", target, kind="tmpfs", flags=MS_NOSUID, data="mode=0755")
    for name, descriptor in held.items():
        (target / name).touch()
        mount(f"/proc/self/fd/{descriptor}", target / name, flags=MS_BIND)
        os.close(descriptor)
    (target / "shm").mkdir()
    mount("tmpfs", target / "shm", kind="tmpfs", flags=MS_NOSUID, data="mode=1777")


def _groups() -> dict[str, list[str]]:
    """What each group of system calls holds: calls, and other groups."""
    argv = ["systemd-analyze", "syscall-filter", "--no-pager"]
    listed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    groups: dict[str, list[str]] = {}
    name = ""
    for line in listed.splitlines():
        if line.startswith("@"):
            name = line.strip()
        elif line.startswith(" ") and not line.strip().startswith("#"):
            groups.setdefault(name, []).append(line.strip())
    return groups


APPLIED = {
    *("LimitNOFILE", "UMask", "CapabilityBoundingSet", "AmbientCapabilities", "ProtectSystem"),
    *("ProtectHome", "PrivateTmp", "PrivateDevices", "ProtectProc", "ProcSubset"),
    *("MemoryDenyWriteExecute", "RestrictAddressFamilies", "SystemCallFilter"),
}


if __name__ == "__main__":
    main()
