"""Ports: free, the node's own, or somebody else's."""

from __future__ import annotations

import itertools
import os
import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from eagle_node.base.findings import Finding, error, ok, warning
from eagle_node.config.tree import Config, Role
from eagle_node.doctor.process import Running
from eagle_node.runtime.sockets import Address

_LISTEN = "0A"
"""TCP_LISTEN, as /proc/net/tcp writes it (proc(5))."""
_WHICH_NODE = ("--config", "--data-dir")
_SOCKET = re.compile(r"socket:\[(\d+)\]\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """What the node opens."""

    name: str
    """As in ``ports.json``."""
    flag: str
    address: Address
    udp: bool = False
    """Whether datagrams come there too."""


def listeners(config: Config) -> Sequence[Listener]:
    """Those of a node with this configuration; roles that it may be given are counted."""
    roles = config.node.roles | config.cluster.elected
    swarm = config.swarm
    port = swarm.ssl_port if config.node.cluster_key_file else swarm.port
    flag = "--swarm-ssl-port" if config.node.cluster_key_file else "--swarm-port"
    found = [
        Listener(name="api", flag="--api-listen", address=config.api.listen),
        Listener(name="swarm", flag=flag, address=Address(swarm.listen_host or "0.0.0.0", port)),
    ]
    if config.lending.store is not None:
        address = Address(swarm.listen_host or "0.0.0.0", config.lending.port)
        found.append(Listener(name="containerd", flag="--containerd-port", address=address))
    if Role.PROXY in roles:
        found.append(Listener(name="proxy", flag="--proxy-listen", address=config.proxy.listen))
    if Role.SEEDER in roles:
        address = config.seeder.metainfo_listen
        found.append(Listener(name="metainfo", flag="--metainfo-port", address=address))
    if Role.TRACKER in roles:
        address = config.tracker.listen
        found.append(Listener(name="tracker", flag="--tracker-port", address=address))
    if config.cluster.enabled:
        gossip, raft = config.cluster.gossip_listen, config.cluster.raft_listen
        found.append(Listener(name="gossip", flag="--gossip-port", address=gossip, udp=True))
        found.append(Listener(name="raft", flag="--raft-port", address=raft))
    return found


def check_ports(config: Config, running: Running | None) -> list[Finding]:
    """One finding for all ports that are as they should be, and one for each that is not."""
    wanted = listeners(config)
    if running is not None:
        return _own(wanted, running)
    findings, free = [], []
    nodes: dict[int, list[str]] = {}
    for listener in wanted:
        reason, told = _refusal(listener), f"{listener.address.port} ({listener.name})"
        pid = None if reason is None else _process_at(listener.address.port)
        if reason is None:
            free.append(told)
        elif pid is not None and other_node(pid) is not None:
            nodes.setdefault(pid, []).append(told)
        else:
            findings.append(_taken(listener, reason, pid))
    findings += [_taken_by_node(pid, ports) for pid, ports in nodes.items()]
    if free:
        findings.insert(0, ok("ports", f"free: {', '.join(free)}"))
    return findings


def other_node(pid: int) -> Sequence[str] | None:
    """The flags that say which node a process runs; None: it is no node, or not ours to look at."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return None
    named = any(re.search(r"eagle[-_]node", word) for word in words[:4])
    if not named or "run" not in words:
        return None
    pairs = [" ".join(pair) for pair in itertools.pairwise(words) if pair[0] in _WHICH_NODE]
    joined = [word for word in words if word.startswith(tuple(f"{each}=" for each in _WHICH_NODE))]
    return [*pairs, *joined]


def _process_at(port: int) -> int | None:
    """Who listens on a TCP port; None when that cannot be seen."""
    inodes = set(_listening_inodes(port))
    for process in Path("/proc").glob("[0-9]*") if inodes else ():
        try:
            if not inodes.isdisjoint(_sockets(process)):
                return int(process.name)
        except OSError:  # it has ended, or is not ours to look at
            continue
    return None


def _sockets(process: Path) -> Iterator[str]:
    """Inodes of the sockets that a process has open."""
    for link in (process / "fd").iterdir():
        try:
            found = _SOCKET.match(os.readlink(link))
        except FileNotFoundError:  # closed meanwhile
            continue
        if found is not None:
            yield found[1]


def _own(wanted: Sequence[Listener], running: Running) -> list[Finding]:
    pid = f" (process {running.pid})" if running.pid else ""
    if not running.ports:
        text = f"the node{pid} runs and does not listen yet"
        return [warning("ports", text, "wait a moment; if it stays so, read its log")]
    where = ", ".join(f"{port} ({name})" for name, port in running.ports.items() if port)
    findings = [ok("ports", f"the node{pid} listens on {where}")]
    for listener in wanted:
        port = running.ports.get(listener.name, 0)
        if listener.address.port not in (0, port) and port:
            text = f"the running node has {listener.name} on {port}, not {listener.address.port}"
            remedy = (
                f"give doctor the node's own --config and flags, or restart it ({listener.flag})"
            )
            findings.append(warning("ports", text, remedy))
    return findings


def _taken(listener: Listener, reason: str, pid: int | None) -> Finding:
    by = "" if pid is None else f", which {_name_of(pid)} (process {pid}) uses"
    text = f"cannot listen on {listener.address} ({listener.name}){by}: {reason}"
    return error("ports", text, f"stop what uses it, or choose another with {listener.flag}")


def _taken_by_node(pid: int, ports: Sequence[str]) -> Finding:
    flags = " ".join(other_node(pid) or ("--data-dir", "DIR"))
    text = f"another node (process {pid}) has {', '.join(ports)}"
    remedy = f"to look at that one: eagle-node doctor {flags}; a second one needs ports of its own"
    return error("ports", text, remedy)


def _name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "a program"


def _refusal(listener: Listener) -> str | None:
    """Why the port cannot be opened; None: it can."""
    kinds = [socket.SOCK_STREAM, *([socket.SOCK_DGRAM] if listener.udp else [])]
    address = listener.address
    for kind in kinds:
        try:
            family, _, _, _, where = socket.getaddrinfo(
                address.host, address.port, type=kind, flags=socket.AI_PASSIVE
            )[0]
            with socket.socket(family, kind) as probe:
                if kind == socket.SOCK_STREAM:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(where)
                if kind == socket.SOCK_STREAM:
                    probe.listen(1)
        except OSError as failure:
            return failure.strerror or str(failure)
    return None


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]
