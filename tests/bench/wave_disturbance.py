"""What happens to nodes on the way: kills and a freeze, evenly between 0.2 and 0.6 of D."""

from __future__ import annotations

import asyncio
import enum
import random
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from eagle_node.base.rendezvous import ranked
from eagle_node.consensus.policy import role_of
from tests.bench.wave_scenario import Scenario
from tests.support import http
from tests.support.node import Node

METAINFO_PORT = 55008
TRACKER_PORT = 6969
"""Where nodes that may be elected listen: the hash that picks among holders is of addresses."""
LOOK_S = 0.1
"""Seconds between two looks for who takes over."""
ANSWER_S = 2.0
"""Seconds that a node has to tell who holds what, before the next is asked."""


class Act(enum.Enum):
    """What is done to whom; the text is the victim's fate."""

    KILL = "killed"
    KILL_SEEDER = "killed, the seeder"
    KILL_TRACKER = "killed, the tracker"
    FREEZE = "frozen"

    @property
    def number(self) -> signal.Signals:
        """The signal that does it."""
        return signal.SIGSTOP if self is Act.FREEZE else signal.SIGKILL


_OF_HOLDERS: Mapping[Act, tuple[str, str]] = {
    Act.KILL_SEEDER: ("seeder", f"{{}}:{METAINFO_PORT}"),
    Act.KILL_TRACKER: ("tracker", f"http://{{}}:{TRACKER_PORT}"),
}
"""Acts upon who has a role, and how the hash that picks among its holders names them."""


def script(scenario: Scenario) -> list[Act]:
    """The acts of a scenario, in their order."""
    return [
        *[Act.KILL] * scenario.killed_nodes,
        *[Act.KILL_SEEDER] * scenario.kill_seeder,
        *[Act.KILL_TRACKER] * scenario.kill_tracker,
        *[Act.FREEZE] * scenario.freeze,
    ]


@dataclass(slots=True, kw_only=True)
class Disturbance:
    """The acts of one wave."""

    scenario: Scenario
    nodes: Sequence[Node]
    digest: str
    """Of the blob whose seeder and tracker are meant."""
    _hit: set[int] = field(default_factory=set)

    async def run(self, direct_s: float) -> AsyncIterator[tuple[Act, int]]:
        """Each act when it is due, and the index of the node that it is for."""
        acts = script(self.scenario)
        order = list(range(self.scenario.nodes))
        random.Random(7).shuffle(order)
        for number, act in enumerate(acts):
            await asyncio.sleep(direct_s * (0.2 if not number else 0.4 / len(acts)))
            holders = await self._holders()
            while act in _OF_HOLDERS and act not in holders:
                await asyncio.sleep(LOOK_S)
                holders = await self._holders()
            if act not in holders:
                spared = self._hit | set(holders.values())
                holders[act] = next(each for each in order if each not in spared)
            index = holders[act]
            self._hit.add(index)
            yield act, index

    async def _holders(self) -> dict[Act, int]:
        """The blob's seeder and tracker at this moment; neither while only dead ones are known."""
        if not self.scenario.elected:
            return {Act.KILL_SEEDER: 0, Act.KILL_TRACKER: 1}
        cluster = await self._cluster()
        at = {each["id"]: each["address"] for each in cluster["members"]}
        holders: dict[Act, int] = {}
        for act, (role, name) in _OF_HOLDERS.items():
            held = {
                name.format(at[lease["holder"]]): at[lease["holder"]]
                for lease in cluster["leases"]
                if role_of(lease["name"]) == role and lease["holder"] in at
            }
            asked = (self._index(held[each]) for each in ranked(self.digest, held))
            alive = next((index for index in asked if index not in self._hit), None)
            if alive is not None:
                holders[act] = alive
        return holders

    async def _cluster(self) -> dict[str, Any]:
        """The cluster, as the first node that answers tells of it."""
        for index, node in enumerate(self.nodes):
            if index in self._hit:
                continue
            try:
                async with asyncio.timeout(ANSWER_S):
                    cluster: dict[str, Any] = (await node.status())["cluster"]
                    return cluster
            except (TimeoutError, OSError, aiohttp.ClientError, http.BadAnswer):
                continue
        raise AssertionError("no node tells who holds what")

    def _index(self, address: str) -> int:
        return next(index for index, node in enumerate(self.nodes) if node.host == address)
