"""The cluster as the control API tells of it: its members, leader and leases, and their changes."""

from __future__ import annotations

from eagle_node.api import schema
from eagle_node.api.event_log import EventLog
from eagle_node.base.ids import NodeId
from eagle_node.cluster.service import Cluster
from eagle_node.config.tree import Config
from eagle_node.consensus.policy import VIP
from eagle_node.consensus.records import LeaseRecord
from eagle_node.consensus.service import State
from eagle_node.membership.events import Change, Gone, Joined, Updated
from eagle_node.membership.member import Member
from eagle_node.membership.member import State as Belief
from eagle_node.membership.meta import Meta
from eagle_node.runtime.clock import Clock, monotonic


class ClusterView:
    """What this node knows of its cluster."""

    def __init__(
        self, config: Config, cluster: Cluster, events: EventLog, *, clock: Clock = monotonic
    ) -> None:
        self._config = config
        self._cluster = cluster
        self._events = events
        self._clock = clock
        self._changed_at: dict[NodeId, float] = {}
        self._leader: NodeId | None = None
        self._leases: dict[str, LeaseRecord] = {}
        cluster.on_member.append(self._member_changed)
        cluster.on_state.append(self._state_changed)

    # `node.settings.ClusterSettings`

    def get(self, key: str) -> str:
        """A setting of the cluster; empty: the default."""
        state = self._cluster.state
        return state.settings.get(key, "") if state is not None else ""

    async def set(self, key: str, value: str) -> None:
        """Agree on another value; `Unavailable` without a leader."""
        await self._cluster.set_setting(key, value)

    # What the API tells

    def status(self, own: schema.Member) -> schema.ClusterStatus:
        """The cluster, with this node as it knows itself."""
        state = self._cluster.state
        everybody = {**self._cluster.departed(), **self._cluster.members()}
        members = [self._member(each, own) for each in everybody.values()]
        return schema.ClusterStatus(
            name=self._config.node.cluster,
            leader=state.leader if state is not None else None,
            term=state.term if state is not None else 0,
            members=tuple(sorted(members, key=lambda each: (each.address, each.id))),
            voters=state.voters if state is not None else (),
            leases=tuple(self._lease(each) for each in state.leases) if state is not None else (),
            settings=self._settings(),
            vip=self._vip(),
        )

    def node_at(self, host: str) -> str:
        """Id of the only node at an IP address; empty: none, or several."""
        found = [each.node_id for each in self._cluster.members().values() if _is_at(each, host)]
        return found[0] if len(found) == 1 else ""

    def _member(self, member: Member, own: schema.Member | None = None) -> schema.Member:
        meta, state = member.meta, self._cluster.state
        changed = self._changed_at.get(member.node_id)
        is_own = own is not None and own.id == member.node_id
        return schema.Member(
            id=member.node_id,
            address=member.address.host,
            state=member.state.name.lower(),
            roles=own.roles if own is not None and is_own else meta.roles,
            zone=meta.zone,
            rack=meta.rack,
            version=meta.version,
            voter=state is not None and member.node_id in state.voters,
            changed_s=None if changed is None else round(self._clock() - changed, 3),
            name=meta.name,
        )

    def _lease(self, record: LeaseRecord) -> schema.Lease:
        remaining = self._cluster.remaining_s(record.name)
        return schema.Lease(
            name=record.name,
            holder=record.holder,
            epoch=record.epoch,
            expires_in_s=round(remaining, 3) if remaining > 0 else None,
        )

    def _settings(self) -> tuple[schema.Setting, ...]:
        state = self._cluster.state
        return tuple(
            schema.Setting(key=key, value=value, scope="cluster", changeable=True, help="")
            for key, value in sorted(state.settings.items() if state is not None else ())
        )

    def _vip(self) -> schema.VipStatus | None:
        address, state = self._config.vip.address, self._cluster.state
        if address is None:
            return None
        leases = state.leases if state is not None else ()
        holder = next((each.holder for each in leases if each.name == VIP), None)
        return schema.VipStatus(address=str(address), holder=holder)

    # What changes

    def _member_changed(self, change: Change) -> None:
        match change:
            case Joined(member):
                kind, what = "member-joined", "has joined"
            case Updated(member, before) if member.state is not before.state:
                suspected = member.state is Belief.SUSPECT
                kind = "member-suspect" if suspected else "member-changed"
                what = "does not answer" if suspected else "answers again"
            case Updated(member, before) if _essence(member.meta) != _essence(before.meta):
                kind, what = "member-changed", f"is now {', '.join(member.meta.roles) or 'idle'}"
            case Gone(member):
                kind = "member-gone"
                what = "has left" if member.state is Belief.LEFT else "is dead"
            case _:
                return
        self._changed_at[member.node_id] = self._clock()
        text = f"{self._named(member.node_id)} at {member.address.host} {what}"
        self._events.publish(
            schema.Event(
                id="",
                time="",
                kind=kind,
                subject=member.node_id,
                text=text,
                member=self._member(member),
            )
        )

    def _state_changed(self, state: State) -> None:
        if state.leader != self._leader:
            self._leader = state.leader
            term = f", term {state.term}" if state.term else ""
            text = f"{self._named(state.leader)} leads{term}"
            self._publish("leader-changed", state.leader or "", text)
        for record in state.leases:
            before = self._leases.get(record.name)
            self._leases[record.name] = record
            if before is None or before.holder != record.holder:
                text = f"{record.name} is held by {self._named(record.holder)}"
                self._publish("lease-moved", record.name, text, lease=self._lease(record))

    def _named(self, node_id: NodeId | None) -> str:
        """A node for people: its name and the beginning of its id."""
        if not node_id:
            return "nobody"
        member = {**self._cluster.departed(), **self._cluster.members()}.get(node_id)
        name = member.meta.name if member is not None else ""
        return f"{name} ({node_id[:8]})" if name else node_id[:8]

    def _publish(
        self, kind: str, subject: str, text: str, *, lease: schema.Lease | None = None
    ) -> None:
        self._events.publish(
            schema.Event(id="", time="", kind=kind, subject=subject, text=text, lease=lease)
        )


def _is_at(member: Member, host: str) -> bool:
    return member.address.host == host


def _essence(meta: Meta) -> tuple[object, ...]:
    """What of a member's word is worth telling: not its load."""
    return meta.roles, meta.name, meta.zone, meta.rack, meta.version
