"""Consensus of one node, on real time, a real network and a real disk."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self, assert_never

from eagle_node.base.errors import NoSpace, Unavailable, UsageError
from eagle_node.base.ids import NodeId
from eagle_node.consensus.events import (
    Answered,
    Asked,
    Begin,
    Effect,
    Event,
    LeaveAsked,
    MembersChanged,
    Noted,
    PeerLost,
    Received,
    ReleaseAsked,
    Send,
    Ticked,
)
from eagle_node.consensus.holdings import Holding
from eagle_node.consensus.machine import Node
from eagle_node.consensus.messages import Message, View
from eagle_node.consensus.policy import Candidate, Wanted
from eagle_node.consensus.raft_events import Persist
from eagle_node.consensus.records import (
    Durable,
    Identity,
    LeaseRecord,
    Lineage,
    MemberId,
    Snapshot,
    node_of,
)
from eagle_node.consensus.session import Sessions
from eagle_node.consensus.storage import Storage
from eagle_node.consensus.timing import Timing
from eagle_node.consensus.wire import MAX_TEXT
from eagle_node.runtime.clock import Clock
from eagle_node.runtime.sockets import Address
from eagle_node.runtime.tasks import TaskSet
from eagle_node.trust.certificates import NodeIdentity

log = logging.getLogger(__name__)

_ROOM_CHECK_S = 1.0
"""Between looks whether a full disk has room again."""
_ANSWER_S = 10.0
_RETRY_S = 0.1


def uptime() -> float:
    """Seconds that go on while the machine sleeps: a lease must not outlive a suspension."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What this node knows at one moment."""

    lineage: Lineage | None
    leader: NodeId | None
    term: int
    voters: tuple[NodeId, ...]
    leases: tuple[LeaseRecord, ...]
    settings: Mapping[str, str]
    held: Mapping[str, int]
    """Leases that this node holds, and their epochs."""


class Consensus:
    """This node's part in leases and settings, while the ``async with`` lasts.

    ``members`` is asked often, and tells of this node as well. ``listener`` is closed at the end.
    """

    def __init__(
        self,
        *,
        node_id: NodeId,
        cluster: str,
        listener: socket.socket,
        address: Address,
        path: Path | None,
        members: Callable[[], Iterable[Candidate]],
        trust: NodeIdentity | None = None,
        timing: Timing | None = None,
        wanted: Wanted | None = None,
        clock: Clock = uptime,
    ) -> None:
        self._node_id = node_id
        self._address = address
        self._members = members
        self._timing = timing or Timing()
        self._wanted = wanted or Wanted()
        self._clock = clock
        self._chance = random.SystemRandom()
        self._storage = Storage(path, node_id)
        self._sessions = Sessions(
            node_id=node_id,
            cluster=cluster,
            listener=listener,
            trust=trust,
            clock=clock,
            received=self._took,
            lost=lambda node: self._put(PeerLost(node=node)),
        )
        self._node: Node | None = None
        self._inbox: deque[Event] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._asked: dict[object, asyncio.Future[Answered]] = {}
        self._watchers: list[Callable[[State], None]] = []
        self._state: State | None = None
        self._held: Mapping[str, Holding] = {}
        """As of the last event all of whose effects were carried out."""
        self._known: tuple[Candidate, ...] = ()
        self._tasks = TaskSet()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._storage)
            self._node = await self._restored()
            await stack.enter_async_context(self._sessions)
            await stack.enter_async_context(self._tasks)
            self._tasks.spawn(self._run(), name="consensus")
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Give up leases and lead, tell so, and stop."""
        try:
            if self._node is not None:
                self._idle.clear()
                self._put(LeaveAsked())
                async with asyncio.timeout(1.0):
                    await self._idle.wait()
                await self._sessions.flush()
        except TimeoutError:
            log.debug("left without saying goodbye")
        finally:
            await self._stack.aclose()
            for future in self._asked.values():
                future.cancel()

    # What is known

    @property
    def leader(self) -> NodeId | None:
        """The node that leads, as far as this one knows."""
        return self.state.leader

    @property
    def term(self) -> int:
        """The leader's term."""
        return self.state.term

    @property
    def voters(self) -> tuple[NodeId, ...]:
        """The nodes that vote."""
        return self.state.voters

    @property
    def state(self) -> State:
        """All that is known; `held` of it may have just run out, see `held`."""
        if self._state is None:
            self._state = self._observe()
        return self._state

    def leases(self) -> tuple[LeaseRecord, ...]:
        """Who holds what, as the leader last told it."""
        return self.state.leases

    def held(self) -> Mapping[str, Holding]:
        """What this node holds now; ``until`` is in seconds of this service's clock."""
        now = self._clock()
        return {name: each for name, each in self._held.items() if now < each.until}

    def remaining_s(self, lease: str) -> float:
        """For how long this node holds a lease if nobody renews it; 0 when it does not."""
        holding = self.held().get(lease)
        return max(0.0, holding.until - self._clock()) if holding is not None else 0.0

    def settings(self) -> Mapping[str, str]:
        """The cluster's settings, as the leader last told them."""
        return self.state.settings

    def subscribe(self, watcher: Callable[[State], None]) -> Callable[[], None]:
        """Call ``watcher`` with each new state, in the event loop; the result ends that."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    async def wait_for(self, fact: Callable[[State], bool]) -> State:
        """The first state of which ``fact`` holds."""
        found: asyncio.Future[State] = asyncio.get_running_loop().create_future()

        def watch(state: State) -> None:
            if not found.done() and fact(state):
                found.set_result(state)

        stop = self.subscribe(watch)
        try:
            watch(self.state)
            return await found
        finally:
            stop()

    # What can be asked for

    async def set_setting(self, key: str, value: str) -> None:
        """Set a cluster setting; an empty value removes it.

        `Unavailable` says whether it may have been set all the same: nothing is tried twice.
        """
        if not key or len(key) > MAX_TEXT or len(value) > MAX_TEXT:
            raise UsageError(f"a setting needs a name, and at most {MAX_TEXT} characters")
        if not (key + value).isprintable():
            raise UsageError(f"the setting {key!r} must be printable text")
        answer = await self._ask(key, value)
        if answer.status != "done":
            raise Unavailable(f"no answer from the leader: {key} may be set or not; ask again")

    async def current(self) -> View:
        """The state as of now: what was set before the call is in it, whoever had set it."""
        answer = await self._ask("", "")
        if answer.view is None:
            raise Unavailable("no answer from the leader; ask again")
        return answer.view

    def release(self, lease: str) -> None:
        """This node has stopped using a lease: it may go to another one at once."""
        self._put(ReleaseAsked(lease=lease))

    # How it runs

    async def _ask(self, key: str, value: str) -> Answered:
        deadline = self._clock() + _ANSWER_S
        while True:
            token = object()
            future: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
            self._asked[token] = future
            self._put(Asked(token=token, key=key, value=value))
            try:
                async with asyncio.timeout(deadline - self._clock()):
                    answer = await future
            except TimeoutError:
                return Answered(token=token, status="unknown", view=None)
            finally:
                self._asked.pop(token, None)
            if answer.status != "refused" and (key or answer.view is not None):
                return answer
            if self._clock() + _RETRY_S >= deadline:
                raise Unavailable("the cluster has no leader; nothing was changed")
            await asyncio.sleep(_RETRY_S)

    def _took(self, sender: NodeId, message: Message) -> None:
        self._put(Received(sender=sender, message=message))

    def _put(self, event: Event) -> None:
        self._inbox.append(event)
        self._wake.set()

    async def _run(self) -> None:
        """Hand events to the machine, messages before ticks: a tick judges their absence."""
        tick_at = self._clock()
        while True:
            while self._inbox:
                await self._handle(self._inbox.popleft())
            self._idle.set()
            wait_s = tick_at - self._clock()
            if wait_s > 0:
                self._wake.clear()
                await self._sleep(wait_s)
                continue
            if wait_s < -self._timing.heartbeat_s:
                # This process was stalled: let the sockets be read first.
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                tick_at = self._clock()
                continue
            tick_at = self._clock() + self._timing.tick_s
            self._see_members()
            await self._handle(Ticked())

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _see_members(self) -> None:
        members = tuple(self._members())
        if members != self._known:
            self._known = members
            self._inbox.append(MembersChanged(members=members))

    async def _handle(self, event: Event) -> None:
        if self._node is None:
            return
        try:
            for effect in self._node.handle(event, self._clock()):
                await self._perform(effect)
        except (NoSpace, Unavailable) as error:
            await self._recover(error)
        self._notice()

    async def _perform(self, effect: Effect) -> None:
        match effect:
            case Persist():
                await self._storage.persist(effect)
            case Begin():
                await self._storage.begin(effect.identity, effect.snapshot)
            case Send():
                self._sessions.send(effect.target, effect.address, effect.message)
            case Answered():
                future = self._asked.get(effect.token)
                if future is not None and not future.done():
                    future.set_result(effect)
            case Noted():
                log.info("%s", effect.text)
            case _:
                assert_never(effect)

    async def _recover(self, error: Unavailable) -> None:
        """What is not on disk has not happened: stop taking part until it can be written."""
        log.error("%s; this node does not vote, lead or hold leases until that is mended", error)
        self._node = None
        for token, future in list(self._asked.items()):
            if not future.done():
                future.set_result(Answered(token=token, status="unknown", view=None))
        self._notice()
        while True:
            await asyncio.sleep(_ROOM_CHECK_S)
            self._inbox.clear()
            try:
                await self._storage.probe()
                self._node = await self._restored()
            except (NoSpace, Unavailable):
                continue
            break
        self._known = ()
        log.info("the log can be written again: this node takes part")

    async def _restored(self) -> Node:
        stored = await self._storage.load()
        if stored is None:
            member = MemberId(f"{self._node_id}-{self._chance.getrandbits(32):08x}")
            identity, durable = Identity(member=member), Durable()
            await self._storage.begin(identity, Snapshot())
        else:
            identity, durable = stored.identity, stored.durable
        return Node(
            identity=identity,
            durable=durable,
            address=self._address,
            created_ms=max(0, time.time_ns() // 1_000_000),
            timing=self._timing,
            wanted=self._wanted,
            chance=self._chance,
            now=self._clock(),
        )

    def _observe(self) -> State:
        node = self._node
        view = node.view if node is not None else None
        leader = node.leader if node is not None else None
        return State(
            lineage=view.lineage if view is not None else None,
            leader=node_of(leader.member) if leader is not None else None,
            term=view.term if view is not None else 0,
            voters=tuple(node_of(each.member) for each in view.voters) if view else (),
            leases=view.leases if view is not None else (),
            settings={each.key: each.value for each in view.settings} if view else {},
            held={name: each.epoch for name, each in self.held().items()},
        )

    def _notice(self) -> None:
        self._held = self._node.held(self._clock()) if self._node is not None else {}
        state = self._observe()
        if state == self._state:
            return
        self._state = state
        for watcher in list(self._watchers):
            watcher(state)
