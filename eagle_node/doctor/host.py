"""The host: its clock, its addresses, and how many files a process may open."""

from __future__ import annotations

import ctypes
import re
import resource
import socket
from pathlib import Path

from eagle_node.base.findings import Finding, ok, warning
from eagle_node.config.tree import Config
from eagle_node.doctor.process import Running

FILES_WANTED = 16384
"""Each connection of the swarm and each open segment is a file; a busy seeder has thousands."""
_TIME_ERROR = 5
"""adjtimex(2): the clock is not synchronised."""
_TIMEX_BYTES = 512
"""More than ``struct timex`` has on any architecture (208 on x86-64); all zero only reads."""
_LIMIT = re.compile(r"^Max open files\s+\d+\s+(\d+|unlimited)", re.MULTILINE)


def check_clock() -> Finding:
    """Whether something keeps the time: certificates and tokens are judged by it."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        state = -1
    if state == _TIME_ERROR:
        text = "the kernel does not know its clock to be synchronised"
        return warning("clock", text, "timedatectl set-ntp true (or run chrony, ntpd)")
    if state < 0:
        text = "the kernel does not tell whether its clock is synchronised"
        return warning("clock", text, "compare with another host: date -u")
    return ok("clock", "the clock is synchronised")


def check_file_limit(running: Running | None) -> Finding:
    """How many files the node may open; a node that does not run would get this process's limit."""
    pid = running.pid if running else None
    limit = _limit_of(pid) if pid else resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if limit == resource.RLIM_INFINITY or limit >= FILES_WANTED:
        shown = "any number of" if limit == resource.RLIM_INFINITY else f"{limit}"
        return ok("files", f"the node may open {shown} files")
    return warning(
        "files",
        f"the node may open {limit} files only; a busy one wants {FILES_WANTED}",
        "LimitNOFILE=1048576 in its systemd unit, or ulimit -Hn 1048576 before it starts",
    )


def _limit_of(pid: int) -> int:
    try:
        found = _LIMIT.search(Path(f"/proc/{pid}/limits").read_text())
    except OSError:
        found = None
    if found is None:
        return resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return resource.RLIM_INFINITY if found[1] == "unlimited" else int(found[1])


def check_advertised(config: Config) -> list[Finding]:
    """Whether other nodes are told an address that leads here."""
    address = config.node.advertise
    if address is None:
        return []
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            text = f"{address} (--advertise) is no address of this host"
            remedy = "correct it, unless somebody (NAT) passes on to this host what is sent there"
            return [warning("advertise", text, remedy)]
    return [ok("advertise", f"{address} is an address of this host")]
