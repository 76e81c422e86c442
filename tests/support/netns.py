"""Networks of shaped links: one namespace per host, bridges in a switch namespace between them.

    host eth0 ──veth── port in the switch namespace ──bridge of its zone ──veth── core bridge

Addresses are 10.77.0.0/16 and exist inside the namespaces only; the machine's own interfaces are
not touched. A janitor process removes the namespaces when this process ends, however it ends: it
reads a pipe whose other end nobody else holds.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.process import CommandFailed, run

BURST_S = 0.005
"""Seconds of rate that a tbf bucket holds: above the kernel's timer resolution, below notice."""
MIN_BURST = 96 << 10
"""Bytes: tbf needs room for whole packets at low rates."""
QUEUE_LATENCY = "50ms"
"""How long a packet may wait in a shaper before it is dropped (tc-tbf(8) ``latency``)."""

CONGESTION_CONTROL = "cubic"
"""Linux's default. What a wave takes must not depend on what the machine of the rig prefers."""

_NETWORK = "10.77.0.0/16"
_HEADERS = 66
"""Bytes of a packet: Ethernet 14, IPv4 20, TCP 20 and its timestamps 12."""

JANITOR = 'trap "" INT TERM HUP; read -r _; for n in "$@"; do ip netns del "$n"; done'

NEIGHBOURS = 1 << 15
"""Entries of the kernel's neighbour table, which all namespaces share (default: 1024)."""

_sequence = itertools.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One host of a network."""

    name: str
    namespace: str
    """Name of its network namespace, as `running`, `run` and `download` take it."""
    address: str
    """IPv4 address."""
    zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Bytes over a link since it was made, link-layer headers included."""

    sent: int
    received: int
    received_payload: int
    """Without the headers of TCP over IPv4: interfaces count merged packets, that share headers."""


class Network:
    """Hosts by name, what their links carried, and their shapers."""

    def __init__(self, switch: str, hosts: Iterable[Host], ports: Mapping[str, str]) -> None:
        self._switch = switch
        self._hosts = {host.name: host for host in hosts}
        self._ports = ports

    def __getitem__(self, name: str) -> Host:
        return self._hosts[name]

    @property
    def hosts(self) -> Sequence[Host]:
        """All hosts, in the order they were named."""
        return list(self._hosts.values())

    async def shape(self, name: str, rate: int | None) -> None:
        """Limit a host's link, or ``zone:NAME``'s, to ``rate`` bits/s each way; None: no limit."""
        ends = [(self._switch, self._ports[name])]
        if name in self._hosts:
            ends.append((self._hosts[name].namespace, "eth0"))
        else:
            ends.append((self._switch, f"c{self._ports[name]}"))
        await asyncio.gather(*(_shape(namespace, device, rate) for namespace, device in ends))

    async def traffic(self) -> dict[str, Traffic]:
        """Per host, and per ``zone:NAME``, what it sent to and received from the rest."""
        output = await run(["ip", "-n", self._switch, "-s", "-j", "link"])
        stats = {link["ifname"]: link["stats64"] for link in json.loads(output.stdout)}
        return {
            name: Traffic(
                sent=stats[port]["rx"]["bytes"],
                received=stats[port]["tx"]["bytes"],
                received_payload=stats[port]["tx"]["bytes"]
                - stats[port]["tx"]["packets"] * _HEADERS,
            )
            for name, port in self._ports.items()
        }


@asynccontextmanager
async def network(
    zones: Mapping[str, Sequence[str]] | Sequence[str],
    *,
    rate: int | None = None,
    congestion_control: str = CONGESTION_CONTROL,
) -> AsyncIterator[Network]:
    """Hosts by zone (or only their names: one zone), every host's link shaped to ``rate`` bits/s.

    Zones' uplinks are not shaped unless `Network.shape` is told to; CAP_NET_ADMIN is required.
    ``congestion_control`` is that of all connections between hosts: its name in the kernel.
    """
    by_zone = zones if isinstance(zones, Mapping) else {"": zones}
    prefix = f"eagle-{os.getpid()}-{next(_sequence)}"
    pairs = [(zone, name) for zone, names in by_zone.items() for name in names]
    hosts = [
        Host(
            name=name,
            namespace=f"{prefix}-{name}",
            address=f"10.77.{1 + index // 250}.{1 + index % 250}",
            zone=zone,
        )
        for index, (zone, name) in enumerate(pairs)
    ]
    switch = f"{prefix}-switch"
    await _sweep()
    _allow_neighbours()
    async with _janitor([switch, *(host.namespace for host in hosts)]):
        ports = await _wire(switch, hosts, list(by_zone), congestion_control)
        made = Network(switch, hosts, ports)
        if rate is not None:
            for host in hosts:
                await made.shape(host.name, rate)
        yield made


async def _wire(
    switch: str, hosts: Sequence[Host], zones: Sequence[str], congestion_control: str
) -> dict[str, str]:
    """Make namespaces, bridges and veth pairs; the switch-side port of each host and zone.

    Congestion control is a matter of the hosts' routes: a namespace may not choose any other
    default than the kernel allows to everybody (``net.ipv4.tcp_allowed_congestion_control``).
    """
    for namespace in [switch, *(host.namespace for host in hosts)]:
        await run(["ip", "netns", "add", namespace])
    lines = ["link add core type bridge", "link set core up"]
    ports: dict[str, str] = {}
    for number, zone in enumerate(zones):
        lines += [
            f"link add bridge{number} type bridge",
            f"link set bridge{number} up",
            f"link add z{number} type veth peer name cz{number}",
            f"link set z{number} master core up",
            f"link set cz{number} master bridge{number} up",
        ]
        ports[f"zone:{zone}"] = f"z{number}"
    for number, host in enumerate(hosts):
        lines += [
            f"link add p{number} type veth peer name eth0 netns {host.namespace}",
            f"link set p{number} master bridge{zones.index(host.zone)} up",
        ]
        ports[host.name] = f"p{number}"
    await _ip_batch(switch, lines)
    for host in hosts:
        await _ip_batch(
            host.namespace,
            [
                f"addr add {host.address}/16 dev eth0 noprefixroute",
                "link set eth0 up",
                "link set lo up",
                f"route add {_NETWORK} dev eth0 scope link src {host.address} "
                f"congctl {congestion_control}",
            ],
        )
    return ports


async def _ip_batch(namespace: str, lines: Sequence[str]) -> None:
    script = 'ip -n $0 -batch - <<< "$1"'
    await run(["bash", "-c", script, namespace, "\n".join(lines)])


async def _shape(namespace: str, device: str, rate: int | None) -> None:
    device_at = ["tc", "-n", namespace, "qdisc"]
    if rate is None:
        await run([*device_at, "del", "dev", device, "root"])
        return
    burst = max(MIN_BURST, int(rate / 8 * BURST_S))
    tbf = ["tbf", "rate", f"{rate}bit", "burst", f"{burst}b", "latency", QUEUE_LATENCY]
    await run([*device_at, "replace", "dev", device, "root", *tbf])


@asynccontextmanager
async def _janitor(namespaces: Sequence[str]) -> AsyncIterator[None]:
    """Remove ``namespaces`` at the end of the block or of this process, whichever comes first."""
    janitor = await asyncio.create_subprocess_exec(
        *["sh", "-c", JANITOR, "sh", *namespaces],
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        await asyncio.shield(janitor.communicate(b""))


async def _sweep() -> None:
    """Remove namespaces whose owner's janitor was killed too."""
    listed = await run(["ip", "netns", "list"])
    for line in listed.stdout.splitlines():
        name = line.partition(" ")[0]
        if _is_orphan(name):
            with contextlib.suppress(CommandFailed):  # another process sweeps as well
                await run(["ip", "netns", "del", name])


def _is_orphan(namespace: str) -> bool:
    owner = namespace.split("-")[1] if namespace.startswith("eagle-") else ""
    return owner.isdecimal() and not Path(f"/proc/{owner}").exists()


def _allow_neighbours() -> None:
    """Raise the neighbour table's limits where they are lower: n hosts know n * n neighbours."""
    for number in (3, 2, 1):
        limit = Path(f"/proc/sys/net/ipv4/neigh/default/gc_thresh{number}")
        if int(limit.read_text()) < NEIGHBOURS:
            limit.write_text(str(NEIGHBOURS))
