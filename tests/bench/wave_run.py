"""One wave on a rig that is up: the direct download, the pulls, the disturbances, the account."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.bench.report import cpu_seconds, peak_rss_mib
from tests.bench.wave_clients import Client, Place, PullFailed, client
from tests.bench.wave_disturbance import Disturbance
from tests.bench.wave_scenario import MBIT, SLOWNESS, Outcome, Pull, Scenario
from tests.support import http
from tests.support.images import Image
from tests.support.netns import Network
from tests.support.node import Node
from tests.support.registry import Registry

ANNOUNCED_S = 2.5
"""Seconds after which a holder is known to the tracker."""
PATIENCE = 5
"""Times the direct download after which a pull is given up; beside half a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Account:
    """Counters before or after a wave."""

    received: dict[str, int]
    """Bytes of TCP's payload into each zone."""
    origin: tuple[int, int]
    """Bytes of blobs, and requests."""
    uploaded: int | None
    cpu_s: float


@dataclass(slots=True, kw_only=True)
class Wave:
    """A rig with its nodes up, ready for one wave."""

    scenario: Scenario
    directory: Path
    net: Network
    registry: Registry
    image: Image
    nodes: Sequence[Node]
    clients: Sequence[Client]
    _ended_cpu_s: float = 0.0
    """Of nodes that were killed, until then."""
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    """A pull each, by node."""

    async def run(self) -> Outcome:
        """One wave."""
        direct = await self._direct()
        assert direct.took is not None
        if self.scenario.warm:
            await self._warm_up()
        if self.scenario.sudden:
            await self._slow_down()
        before = await self._account()
        pulls = await self._pull_all(direct.took)
        after = await self._account()
        await self._verify(pulls)
        size = self.scenario.size
        uploads = None
        if after.uploaded is not None and before.uploaded is not None:
            uploads = (after.uploaded - before.uploaded) / size
        return Outcome(
            direct_s=direct.took,
            direct_first_byte_s=direct.first_byte,
            pulls=pulls,
            origin_copies=(after.origin[0] - before.origin[0]) / size,
            origin_requests=after.origin[1] - before.origin[1],
            seeder_copies=uploads,
            zone_copies={
                zone: (after.received[zone] - before.received[zone]) / size
                for zone in after.received
            },
            cpu_s=after.cpu_s - before.cpu_s,
            peak_rss_mib=max((_peak_rss_mib(node) for node in self.nodes), default=0.0),
        )

    async def _direct(self) -> Pull:
        """One download straight from the origin with the same client; its failure is the rig's."""
        host = self.net["n1"] if self.scenario.nodes > 1 else self.net["n0"]
        place = Place(
            directory=self.directory / "direct",
            namespace=host.namespace,
            address=self.registry.address,
        )
        pull = Pull(node=host.name)
        async with client(self.scenario.runtime, self.image, place) as straight:
            await _timed(pull, straight, time.monotonic())
            await straight.verify()
        return pull

    async def _warm_up(self) -> None:
        """Bring the image to the first node with its link and the origin's unshaped."""
        scenario = self.scenario
        await self.net.shape("n0", None)
        await self.net.shape("origin", None)
        await self.clients[0].pull(lambda _: None)
        await asyncio.sleep(ANNOUNCED_S)
        await self.net.shape("n0", int(scenario.rate_of(0) * MBIT))
        await self.net.shape("origin", int((scenario.origin_rate or scenario.rate) * MBIT))

    async def _slow_down(self) -> None:
        """Give slow nodes their rate, which nobody knows yet."""
        for index in range(self.scenario.slow_from, self.scenario.nodes):
            await self.net.shape(f"n{index}", int(self.scenario.rate_of(index) * MBIT))

    async def _pull_all(self, direct_s: float) -> list[Pull]:
        scenario, started = self.scenario, time.monotonic()
        pulls = [Pull(node=f"n{index}") for index in range(scenario.nodes)]
        late = scenario.nodes - scenario.late_from
        patience = 30 + PATIENCE * direct_s * (SLOWNESS if scenario.slow else 1)
        async with asyncio.TaskGroup() as group:
            for index, pull in enumerate(pulls):
                delay = scenario.spread * index / max(1, scenario.nodes - 1)
                if index >= scenario.late_from:
                    delay = direct_s * (0.5 + 0.3 * (index - scenario.late_from) / late)
                if scenario.warm and index == 0:
                    pull.fate = "warm"
                work = self._pull(pull, self.clients[index], started + delay, started, patience)
                self._tasks.append(group.create_task(work))
            group.create_task(self._disturb(pulls, direct_s))
        return pulls

    async def _pull(
        self, pull: Pull, puller: Client, at: float, started: float, patience: float
    ) -> None:
        if not pull.counts:
            return
        await asyncio.sleep(at - time.monotonic())
        try:
            async with asyncio.timeout(patience):
                await _timed(pull, puller, started)
        except TimeoutError:
            pull.error = f"not done after {patience:.0f} s"
        except PullFailed as error:
            pull.error = str(error)

    async def _verify(self, pulls: Sequence[Pull]) -> None:
        for pull, puller in zip(pulls, self.clients, strict=True):
            if pull.counts and pull.finished is not None:
                try:
                    await puller.verify()
                except PullFailed as error:
                    pull.finished, pull.error = None, str(error)

    async def _disturb(self, pulls: Sequence[Pull], direct_s: float) -> None:
        """Kill and freeze on the way."""
        disturbance = Disturbance(
            scenario=self.scenario, nodes=self.nodes, digest=self.image.layers[0].digest
        )
        async for act, index in disturbance.run(direct_s):
            node = self.nodes[index]
            if act.number is signal.SIGKILL:
                self._ended_cpu_s += cpu_seconds(node.process.pid)
            pulls[index].fate = act.value
            node.process.signal(act.number)
            self._tasks[index].cancel()
            if act.number is signal.SIGKILL:
                await node.process.wait()

    async def _account(self) -> _Account:
        traffic = await self.net.traffic()
        sent = await self.registry.blob_bytes()
        alive = [node for node in self.nodes if node.process.status is None]
        return _Account(
            received={
                name: each.received_payload
                for name, each in traffic.items()
                if name.startswith("zone:z")
            },
            origin=(sum(sent.values()), len(await self.registry.accesses())),
            uploaded=await self._uploaded(),
            cpu_s=self._ended_cpu_s + sum(cpu_seconds(node.process.pid) for node in alive),
        )

    async def _uploaded(self) -> int | None:
        """Bytes that the seeder has sent to peers; None when it is dead, or elected: any node."""
        if self.scenario.elected:
            return None
        try:
            async with asyncio.timeout(5):
                status = await self.nodes[0].status()
        except (TimeoutError, OSError, aiohttp.ClientError, http.BadAnswer):
            return None
        return int(status["traffic"]["peer_upload_bytes"])


async def _timed(pull: Pull, puller: Client, started: float) -> None:
    """Pull, and write down when; ``started`` is the wave's start."""
    pull.started = time.monotonic() - started

    def note(received: int) -> None:
        now = time.monotonic() - started
        if pull.first_byte is None and puller.tells_first_byte:
            pull.first_byte = now - pull.started
        if not pull.progress or now - pull.progress[-1][0] > 0.2:
            pull.progress.append((now, received))

    await puller.pull(note)
    pull.finished = time.monotonic() - started


def _peak_rss_mib(node: Node) -> float:
    return peak_rss_mib(node.process.pid) if node.process.status is None else 0.0
