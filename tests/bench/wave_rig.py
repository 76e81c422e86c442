"""The rig of the cold wave: real nodes in network namespaces with shaped links, a real origin."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.support import http
from tests.support.netns import Network, network
from tests.support.node import Node, eagle_node
from tests.support.registry import Registry, docker_registry

MBIT = 1_000_000
MIB = 1 << 20
REGISTRY = "origin.test"
REPOSITORY = "wave/image"
LINK_OVERHEAD = 1.08
"""Link bytes per payload byte of one direct download (Ethernet, IP, TCP headers and acks), measured
on this rig; used where a direct baseline is computed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One wave. Rates are Mbit/s, times seconds, shares 0 to 1."""

    nodes: int = 20
    rate: float = 20
    origin_rate: float | None = None
    """Of the origin's link; None: as the nodes'."""
    sizes: tuple[int, ...] = (64 * MIB,)
    """Bytes of each layer; all are pulled at once."""
    zones: int = 1
    border: float | None = None
    """Of each zone's uplink; None: not shaped."""
    spread: float = 0.0
    """Nodes start within this time, evenly."""
    late: float = 0.0
    """Share of nodes that start after half of the wave."""
    slow: float = 0.0
    """Share of nodes whose links have a quarter of the rate."""
    killed: float = 0.0
    """Share of nodes that are killed on the way."""
    kill_seeder: bool = False
    kill_tracker: bool = False
    freeze: bool = False
    """Stop one node (SIGSTOP) on the way."""
    warm: bool = False
    """The first node holds the blobs already."""
    flags: tuple[str, ...] = ()
    """Further flags for every node."""

    @property
    def size(self) -> int:
        """Bytes of all layers."""
        return sum(self.sizes)

    def rate_of(self, index: int) -> float:
        """Mbit/s of a node's link; slow nodes are the last ones."""
        return self.rate / 4 if index >= self.nodes - round(self.slow * self.nodes) else self.rate


@dataclass(slots=True, kw_only=True)
class Pull:
    """What one node's client saw."""

    node: str
    started: float = 0.0
    """Seconds after the wave's start."""
    finished: float | None = None
    error: str = ""
    dead: bool = False
    """The node was killed or stopped on purpose."""
    progress: list[tuple[float, int]] = field(default_factory=list)
    """(seconds after the wave's start, bytes so far), now and then."""


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a wave did."""

    direct_s: float
    """One direct download on the idle rig, all layers at once."""
    pulls: list[Pull]
    origin_copies: float
    origin_requests: int
    seeder_copies: float
    zone_copies: dict[str, float]
    cpu_s: float
    peak_rss_mib: float

    @property
    def finished(self) -> list[float]:
        """Seconds that each surviving pull took, ascending."""
        return sorted(p.finished - p.started for p in self.pulls if p.finished and not p.dead)

    @property
    def last_s(self) -> float:
        """When the last survivor was done, from the wave's start."""
        return max((p.finished for p in self.pulls if p.finished and not p.dead), default=0.0)

    @property
    def failed(self) -> int:
        """Survivors without the right bytes."""
        return sum(1 for pull in self.pulls if not pull.dead and pull.finished is None)


class Wave:
    """A rig with its nodes up, ready for one wave."""

    def __init__(
        self, scenario: Scenario, net: Network, registry: Registry, nodes: Sequence[Node]
    ) -> None:
        self.scenario = scenario
        self.net = net
        self.registry = registry
        self.nodes = nodes
        self.digests: list[str] = []

    async def upload(self) -> None:
        """Put random layers into the origin."""
        for number, size in enumerate(self.scenario.sizes):
            self.digests.append(await _push(self.registry, _random_bytes(size, seed=number)))

    async def direct(self) -> float:
        """Seconds that one node's direct download takes on the idle rig."""
        host = self.net["n1"] if self.scenario.nodes > 1 else self.net["n0"]
        return await _timed_download(self.registry.url, self.digests, host.namespace)

    async def warm_up(self) -> None:
        """Bring the layers to the first node with its link unshaped."""
        await self.net.shape("n0", None)
        await self.net.shape("origin", None)
        await _timed_download(self.nodes[0].proxy_url, self.digests, self.nodes[0].namespace)
        await asyncio.sleep(2.5)
        await self.net.shape("n0", int(self.scenario.rate * MBIT))
        await self.net.shape("origin", int(_origin_rate(self.scenario) * MBIT))

    async def run(self) -> Outcome:
        """One wave."""
        direct_s = await self.direct()
        if self.scenario.warm:
            await self.warm_up()
        before, cpu_before = await self.net.traffic(), self._cpu_s()
        uploads_before = await self._uploaded()
        bytes_before, requests_before = await self._origin_account()
        pulls = await self._pull_all(direct_s)
        traffic = await self.net.traffic()
        size = self.scenario.size
        origin_bytes, origin_requests = await self._origin_account()
        return Outcome(
            direct_s=direct_s,
            pulls=pulls,
            origin_copies=(origin_bytes - bytes_before) / size,
            origin_requests=origin_requests - requests_before,
            seeder_copies=(await self._uploaded() - uploads_before) / size,
            zone_copies={
                name: (traffic[name].received - before[name].received) / size
                for name in traffic
                if name.startswith("zone:z")
            },
            cpu_s=self._cpu_s() - cpu_before,
            peak_rss_mib=max(_peak_rss(node) for node in self.nodes) / MIB,
        )

    async def _pull_all(self, direct_s: float) -> list[Pull]:
        scenario, started = self.scenario, time.monotonic()
        pulls = [Pull(node=f"n{index}") for index in range(scenario.nodes)]
        late = round(scenario.late * scenario.nodes)
        async with asyncio.TaskGroup() as group:
            for index, (pull, node) in enumerate(zip(pulls, self.nodes, strict=True)):
                if scenario.warm and index == 0:
                    pull.dead = True
                    continue
                delay = scenario.spread * index / max(1, scenario.nodes - 1)
                if index >= scenario.nodes - late:
                    delay = direct_s * (0.5 + 0.3 * (index - scenario.nodes + late) / max(1, late))
                group.create_task(self._pull(pull, node, started, delay))
            group.create_task(self._disturb(pulls, direct_s))
        return pulls

    async def _pull(self, pull: Pull, node: Node, started: float, delay: float) -> None:
        await asyncio.sleep(delay)
        pull.started = time.monotonic() - started
        received = 0

        def count(more: int) -> None:
            nonlocal received
            received += more
            now = time.monotonic() - started
            if not pull.progress or now - pull.progress[-1][0] > 0.2:
                pull.progress.append((now, received))

        try:
            await asyncio.gather(
                *(
                    _fetch(_blob_url(node.proxy_url, digest), digest, node.namespace, count)
                    for digest in self.digests
                )
            )
        except (aiohttp.ClientError, TimeoutError, http.BadAnswer, OSError) as error:
            pull.error = f"{type(error).__name__}: {error}"
            return
        pull.finished = time.monotonic() - started

    async def _disturb(self, pulls: Sequence[Pull], direct_s: float) -> None:
        """Kill and freeze on the way, evenly between 0.2 and 0.6 of the direct time."""
        scenario = self.scenario
        victims = list(range(2, scenario.nodes))
        random.Random(7).shuffle(victims)
        acts: list[tuple[int, signal.Signals]] = [
            (index, signal.SIGKILL) for index in victims[: round(scenario.killed * scenario.nodes)]
        ]
        if scenario.kill_seeder:
            acts.append((0, signal.SIGKILL))
        if scenario.kill_tracker:
            acts.append((1, signal.SIGKILL))
        if scenario.freeze:
            acts.append((victims[-1], signal.SIGSTOP))
        for number, (index, act) in enumerate(acts):
            await asyncio.sleep(direct_s * (0.2 if not number else 0.4 / len(acts)))
            pulls[index].dead = True
            self.nodes[index].process.signal(act)

    async def _uploaded(self) -> int:
        if self.nodes[0].process.status is not None:
            return 0
        try:
            async with asyncio.timeout(5):
                status = await self.nodes[0].status()
        except (TimeoutError, OSError, aiohttp.ClientError, http.BadAnswer):
            return 0
        return int(status["traffic"]["peer_upload_bytes"])

    async def _origin_account(self) -> tuple[int, int]:
        sent = await self.registry.blob_bytes()
        return sum(sent.values()), len(await self.registry.accesses())

    def _cpu_s(self) -> float:
        return sum(_cpu_s(node) for node in self.nodes)


@asynccontextmanager
async def rig(scenario: Scenario, directory: Path) -> AsyncIterator[Wave]:
    """The network, the origin, and all nodes, ready; gone after the block."""
    async with AsyncExitStack() as stack:
        net = await stack.enter_async_context(network(_zones(scenario)))
        origin = net["origin"]
        registry = await stack.enter_async_context(
            docker_registry(directory / "origin", host=origin.address, namespace=origin.namespace)
        )
        nodes = await _start_nodes(scenario, net, registry, directory, stack)
        wave = Wave(scenario, net, registry, nodes)
        await wave.upload()
        await net.shape("origin", int(_origin_rate(scenario) * MBIT))
        for index in range(scenario.nodes):
            await net.shape(f"n{index}", int(scenario.rate_of(index) * MBIT))
        if scenario.border is not None:
            for zone in range(scenario.zones):
                await net.shape(f"zone:z{zone}", int(scenario.border * MBIT))
        yield wave


def _zones(scenario: Scenario) -> Mapping[str, Sequence[str]]:
    zones: dict[str, list[str]] = {"origin": ["origin"]}
    for index in range(scenario.nodes):
        zones.setdefault(f"z{zone_of(scenario, index)}", []).append(f"n{index}")
    return zones


def zone_of(scenario: Scenario, index: int) -> int:
    """The zone of a node: equal runs of nodes."""
    return index * scenario.zones // scenario.nodes


def _origin_rate(scenario: Scenario) -> float:
    return scenario.origin_rate or scenario.rate


async def _start_nodes(
    scenario: Scenario, net: Network, registry: Registry, directory: Path, stack: AsyncExitStack
) -> list[Node]:
    """The first node is the seeder; the tracker is the second, when there is one to be killed."""
    registries = ("--registry", f"{REGISTRY}={registry.url}", "--default-registry", REGISTRY)
    common = (*registries, *scenario.flags)
    separate = scenario.kill_tracker and scenario.nodes > 1
    nodes: list[Node] = []

    async def start(index: int, *flags: str) -> Node:
        host = net[f"n{index}"]
        zone = ("--zone", f"z{zone_of(scenario, index)}") if scenario.zones > 1 else ()
        return await stack.enter_async_context(
            eagle_node(
                directory / host.name,
                *(*common, *zone, *flags),
                host=host.address,
                namespace=host.namespace,
            )
        )

    first = net["n0"].address
    if separate:
        tracker_url = f"http://{net['n1'].address}:6969"
        pins = ("--seeder", f"{first}:55008", "--tracker", tracker_url)
        nodes.append(
            await start(0, "--role", "proxy,peer,seeder", "--metainfo-port", "55008", *pins)
        )
        nodes.append(
            await start(1, "--role", "proxy,peer,tracker", "--tracker-port", "6969", *pins)
        )
    else:
        nodes.append(await start(0))
        pins = ("--seeder", nodes[0].metainfo, "--tracker", nodes[0].tracker_url)
    for batch in range(len(nodes), scenario.nodes, 4):
        indices = range(batch, min(batch + 4, scenario.nodes))
        nodes += await asyncio.gather(
            *(start(index, "--role", "proxy,peer", *pins) for index in indices)
        )
    return nodes


def _random_bytes(size: int, *, seed: int) -> bytes:
    """The same incompressible bytes for the same size and seed."""
    source = random.Random(f"{seed}-{size}")
    parts = [source.randbytes(min(64 * MIB, size - start)) for start in range(0, size, 64 * MIB)]
    return b"".join(parts)


def _blob_url(base: str, digest: str) -> str:
    return f"{base}/v2/{REPOSITORY}/blobs/{digest}"


async def _timed_download(base: str, digests: Sequence[str], namespace: str | None) -> float:
    started = time.monotonic()
    await asyncio.gather(
        *(_fetch(_blob_url(base, digest), digest, namespace, lambda _: None) for digest in digests)
    )
    return time.monotonic() - started


async def _fetch(
    url: str, digest: str, namespace: str | None, count: Callable[[int], None]
) -> None:
    """GET a blob and check its digest."""
    hasher = hashlib.sha256()
    async with http.client(namespace=namespace) as session, session.get(url) as answer:
        if answer.status != 200:
            raise http.BadAnswer(f"{url}: {answer.status}: {await answer.text()}")
        async for chunk in answer.content.iter_any():
            hasher.update(chunk)
            count(len(chunk))
    if f"sha256:{hasher.hexdigest()}" != digest:
        raise http.BadAnswer(f"{url}: wrong digest")


async def _push(registry: Registry, data: bytes) -> str:
    """Upload a blob from beside the registry, where its link's shape does not matter."""
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    async with http.client(namespace=registry.namespace) as session:
        async with session.post(f"{registry.url}/v2/{REPOSITORY}/blobs/uploads/") as answer:
            location = answer.headers["Location"]
        joint = "&" if "?" in location else "?"
        async with session.put(f"{location}{joint}digest={digest}", data=data) as answer:
            if answer.status != 201:
                raise http.BadAnswer(f"upload: {answer.status}: {await answer.text()}")
    return digest


def _cpu_s(node: Node) -> float:
    try:
        fields = Path(f"/proc/{node.process.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_rss(node: Node) -> int:
    try:
        status = Path(f"/proc/{node.process.pid}/status").read_text()
    except OSError:
        return 0
    peaks = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return int(peaks[0]) * 1024 if peaks else 0
