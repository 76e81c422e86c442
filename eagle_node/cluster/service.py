"""This node among the others: finds them, and knows at each moment who does what."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from contextlib import AsyncExitStack, suppress
from typing import Self

from eagle_node import __version__
from eagle_node.base.errors import NoSpace, Unavailable
from eagle_node.base.ids import NodeId
from eagle_node.cluster.address import follow_lease
from eagle_node.cluster.describe import candidate_of, describe, seen_vips
from eagle_node.cluster.directory import NOBODY, Directory, directory_of
from eagle_node.config.tree import ELECTABLE, Config, Role
from eagle_node.consensus.policy import VIP, Candidate, Wanted, role_of
from eagle_node.consensus.service import Consensus, State, uptime
from eagle_node.discovery.mdns import MdnsIdentity
from eagle_node.discovery.own import own_addresses
from eagle_node.discovery.service import Discovery
from eagle_node.membership.events import Change
from eagle_node.membership.lives import begin_life
from eagle_node.membership.member import Member
from eagle_node.membership.service import Membership
from eagle_node.metrics.instruments import Metrics
from eagle_node.runtime.clock import monotonic
from eagle_node.runtime.sockets import Address, bound_address, listen_tcp
from eagle_node.runtime.tasks import TaskSet
from eagle_node.trust.certificates import NodeIdentity
from eagle_node.trust.keyfile import KeyFile
from eagle_node.vip.service import Vip

log = logging.getLogger(__name__)

_LOOK_S = 3.0
"""How long the first look for others may take before this node counts as alone."""
_GREET_S = 2.0
"""How long those that were found have to answer."""
_SETTLE_S = 8.0
"""Without a leader by then, the node says that it is ready all the same: it can serve."""
_GATHER_S = 0.02
"""Changes of members that come together are taken in together."""
_GRANTS_S = 0.5
"""How long a new leader may take to share out the roles before stand-ins are told of."""
_RETRY_S = 2.0
"""Until a node whose log cannot be opened tries again."""
_WANTED = Wanted(counts={"tracker": 3, "seeder": 2, VIP: 1})


class Cluster:
    """This node's part in its cluster, while the ``async with`` lasts.

    ``ports`` are this node's listeners by name. Entering it takes the ports and checks the
    privileges (`StartError`), and waits for nobody. Called in the loop: ``on_change`` when the
    directory has changed, ``on_member`` and ``on_state`` when membership and leases have.
    """

    def __init__(
        self,
        config: Config,
        *,
        node_id: NodeId,
        host: str,
        trust: NodeIdentity | None,
        keys: KeyFile | None,
        metrics: Metrics,
        ports: Mapping[str, int],
    ) -> None:
        self._config = config
        self._node_id = node_id
        self._host = host
        self._trust = trust
        self._keys = keys
        self._metrics = metrics
        self._ports = dict(ports)
        self._first_seen: dict[NodeId, float] = {}
        self._candidates: tuple[Candidate, ...] = ()
        self._directory = NOBODY
        self._consensus: Consensus | None = None
        self._vip: Vip | None = None
        self._settled = asyncio.Event()
        """Set once the leases are known, or nobody leads for long."""
        self._look_due: asyncio.TimerHandle | None = None
        self._told_roles: frozenset[Role] = frozenset()
        self._vips: Set[str] = frozenset()
        self._tasks = TaskSet()
        self._stack = AsyncExitStack()
        self.on_change: list[Callable[[Directory], None]] = []
        self.on_member: list[Callable[[Change], None]] = []
        self.on_state: list[Callable[[State], None]] = []

    async def __aenter__(self) -> Self:
        config = self._config
        async with AsyncExitStack() as stack:
            if config.vip.address is not None:
                self._vip = await stack.enter_async_context(Vip(config.vip.address, clock=uptime))
            self._raft = listen_tcp(config.cluster.raft_listen, flag="--raft-port")
            stack.callback(self._raft.close)
            self._ports["raft"] = bound_address(self._raft).port
            self._membership = await stack.enter_async_context(self._build_membership())
            stack.push_async_callback(self._membership.leave)
            self._membership.on_change.append(self._member_changed)
            self._ports["gossip"] = self._membership.address.port
            self._discovery = await stack.enter_async_context(self._build_discovery())
            await stack.enter_async_context(self._tasks)
            self._tasks.spawn(self._join(), name="cluster join")
            if self._keys is not None:
                self._keys.on_change.append(self._membership.use_keys)
                self._tasks.spawn(self._keys.follow(), name="cluster key file")
            self._note_candidates()
            self._look()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Give the address and the leases back, say farewell, close."""
        await self._stack.aclose()
        if self._look_due is not None:
            self._look_due.cancel()

    # What is known

    @property
    def ports(self) -> Mapping[str, int]:
        """Listeners of this room: ``gossip`` and ``raft``."""
        return {name: self._ports[name] for name in ("gossip", "raft")}

    @property
    def directory(self) -> Directory:
        """Who is asked for what."""
        return self._directory

    @property
    def roles(self) -> frozenset[Role]:
        """Elected roles of this node."""
        return self._directory.roles_of(self._node_id)

    def members(self) -> Mapping[NodeId, Member]:
        """Live nodes, this one among them."""
        return self._membership.members()

    def departed(self) -> Mapping[NodeId, Member]:
        """Nodes that died or left within the last day."""
        return self._membership.departed()

    @property
    def state(self) -> State | None:
        """Leader, voters, leases and settings as known here; None before this node takes part."""
        return self._consensus.state if self._consensus is not None else None

    def remaining_s(self, lease: str) -> float:
        """For how long this node has a lease if nobody renews it; 0 when it has not."""
        return self._consensus.remaining_s(lease) if self._consensus is not None else 0.0

    def unready(self) -> Sequence[str]:
        """Why this node does not know its place yet."""
        return [] if self._settled.is_set() else ["looking for the cluster"]

    async def set_setting(self, key: str, value: str) -> None:
        """Set a setting of the whole cluster, such as ``seeders``; `Unavailable` without leader."""
        if self._consensus is None:
            raise Unavailable("this node is still looking for its cluster; ask again")
        await self._consensus.set_setting(key, value)

    # How it starts

    def _build_membership(self) -> Membership:
        config = self._config
        return Membership(
            node_id=self._node_id,
            host=self._host,
            listen=config.cluster.gossip_listen,
            meta=describe(config, self._ports, roles=(), voter=False),
            cluster=config.node.cluster,
            keys=self._keys.keys if self._keys is not None else None,
            metrics=self._metrics,
            incarnation=begin_life(config.node.data_dir / "lives"),
        )

    def _build_discovery(self) -> Discovery:
        config, address = self._config, self._membership.address
        return Discovery(
            config.discovery.join,
            is_own=own_addresses(config.cluster.gossip_listen.host, address.port),
            identity=MdnsIdentity(
                node_id=self._node_id,
                cluster=config.node.cluster,
                address=address,
                version=__version__,
            ),
            resolver=config.discovery.resolver,
        )

    def _build_consensus(self) -> Consensus:
        return Consensus(
            node_id=self._node_id,
            cluster=self._config.node.cluster,
            listener=self._raft,
            address=Address(self._host, self._ports["raft"]),
            path=self._config.node.data_dir / "raft.sqlite",
            members=lambda: self._candidates,
            trust=self._trust,
            wanted=_WANTED,
        )

    async def _join(self) -> None:
        """Dial every address that discovery finds."""
        async for _ in self._discovery.new_addresses():
            self._membership.join(self._discovery.addresses())

    async def run(self) -> None:
        """Take part in the leases until cancelled, then give them and the address back.

        Looks who is there first: a cluster of one would have to be merged with theirs. Raises
        `StartError` for a log that must not be touched.
        """
        await _at_most(_LOOK_S, self._discovery.first_look())
        if self._discovery.addresses():
            await _at_most(_GREET_S, self._greeted())
        trouble = ""
        while True:
            try:
                await self._take_part()
            except (NoSpace, Unavailable) as error:
                if not trouble:
                    log.error("this node takes no part in elections: %s; trying again", error)
                trouble = str(error)
                self._settled.set()
            await asyncio.sleep(_RETRY_S)

    async def _take_part(self) -> None:
        async with AsyncExitStack() as stack:
            consensus = await stack.enter_async_context(self._build_consensus())
            self._consensus = consensus
            stack.callback(consensus.subscribe(self._state_changed))
            self._state_changed(consensus.state)
            if self._vip is not None:
                stack.push_async_callback(self._vip.release)
                tasks = await stack.enter_async_context(TaskSet())
                tasks.spawn(follow_lease(self._vip, consensus), name="virtual address")
            await _at_most(_SETTLE_S, consensus.wait_for(_is_led))
            await _at_most(_GRANTS_S, consensus.wait_for(_is_shared_out))
            self._settled.set()
            self._look()
            await asyncio.Event().wait()

    async def _greeted(self) -> None:
        """Wait until another member is known."""
        known = asyncio.Event()

        def heard(_: Change) -> None:
            if len(self._membership.members()) > 1:
                known.set()

        self._membership.on_change.append(heard)
        try:
            if len(self._membership.members()) < 2:
                await known.wait()
        finally:
            self._membership.on_change.remove(heard)

    # What changes

    def _state_changed(self, state: State) -> None:
        for callback in tuple(self.on_state):
            callback(state)
        self._look()

    def _member_changed(self, change: Change) -> None:
        for callback in tuple(self.on_member):
            callback(change)
        if self._look_due is None:
            loop = asyncio.get_running_loop()
            self._look_due = loop.call_later(_GATHER_S, self._members_changed)

    def _members_changed(self) -> None:
        self._look_due = None
        self._note_candidates()
        self._look()

    def _look(self) -> None:
        """Take in what members and leases are."""
        members, state = self._membership.members(), self.state
        before, self._directory = (
            self._directory,
            directory_of(
                members,
                state.leases if state is not None else (),
                cluster=self._config.node.cluster,
                claims=not self._settled.is_set(),
                own=self._node_id,
            ),
        )
        self._describe(state)
        if self._directory == before:
            return
        for callback in tuple(self.on_change):
            callback(self._directory)

    def _describe(self, state: State | None) -> None:
        """Tell the others what this node does; not before it knows its place."""
        roles = self.roles if self._settled.is_set() else frozenset()
        for role in sorted(roles - self._told_roles):
            log.info("this node is a %s", role)
        for role in sorted(self._told_roles - roles):
            log.info("this node is no %s any more", role)
        self._told_roles = roles
        voter = state is not None and self._node_id in state.voters
        meta = describe(self._config, self._ports, roles=roles, voter=voter)
        if meta != self._membership.own.meta:
            self._membership.update(meta)

    def _note_candidates(self) -> None:
        members, now = self._membership.members(), monotonic()
        self._first_seen = {node: self._first_seen.get(node, now) for node in members}
        found = [
            candidate_of(member, age_s=now - self._first_seen[node])
            for node, member in members.items()
        ]
        self._candidates = tuple(each for each in found if each is not None)
        self._check_vips(members)

    def _check_vips(self, members: Mapping[NodeId, Member]) -> None:
        """Say so, once, when nodes were told of different virtual addresses."""
        found = seen_vips(members)
        if len(found) > 1 and found.keys() != self._vips:
            told = "; ".join(f"{ip} on {', '.join(sorted(nodes))}" for ip, nodes in found.items())
            log.error("nodes have different --vip: %s; only one of them is carried", told)
        self._vips = found.keys()


def _is_led(state: State) -> bool:
    return state.leader is not None


def _is_shared_out(state: State) -> bool:
    held = {role_of(lease.name) for lease in state.leases if lease.holder is not None}
    return held >= ELECTABLE


async def _at_most(seconds: float, awaited: Awaitable[object]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await awaited
