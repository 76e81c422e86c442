"""What a member believes of the others, and by which rules news changes that (SWIM, section 4.2).

News comes as updates within datagrams, as whole tables within push-pulls, and from own probes. What
changes is spread on, and is collected as `News` for the machine.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never

from eagle_node.base.ids import NodeId
from eagle_node.membership.events import Change, Gone, Joined, Updated
from eagle_node.membership.member import (
    MAX_ACCUSERS,
    Alive,
    Dead,
    Left,
    Member,
    State,
    Suspect,
    Update,
)
from eagle_node.membership.meta import Meta
from eagle_node.membership.rumours import RumourQueue
from eagle_node.membership.suspicion import Suspicion
from eagle_node.membership.table import Table
from eagle_node.membership.timings import Timings
from eagle_node.membership.wire import Exchange
from eagle_node.runtime.sockets import Address


@dataclass(slots=True)
class News:
    """What has changed since it was last asked."""

    changes: list[Change] = field(default_factory=list)
    suspicions: set[NodeId] = field(default_factory=set)
    """Whose suspicions began, ended or moved their ends."""
    refutations: int = 0
    """How often this node had to say that it lives."""
    disputed: list[Address] = field(default_factory=list)
    """Where others believe this node to be, beside its own address."""
    doubted: list[Member] = field(default_factory=list)
    """Who is dead to others and lives to this node."""


class Beliefs:
    """This node, the others, and what is spread.

    Invariants: exactly the suspects have a suspicion; this node is not in the table; its
    incarnation never falls.
    """

    def __init__(self, own: Member, *, timings: Timings, chance: random.Random) -> None:
        self._timings = timings
        self.own = own
        self.table = Table(chance)
        self.rumours = RumourQueue()
        self.suspicions: dict[NodeId, Suspicion] = {}
        self._news = News()
        self.rumours.put(Alive(own))

    @property
    def size(self) -> int:
        """Live members, this node among them."""
        return self.table.live_count + 1

    @property
    def has_left(self) -> bool:
        """Whether this node has said farewell."""
        return self.own.state is State.LEFT

    def take_news(self) -> News:
        """What has changed; the next call gives what changed since."""
        news, self._news = self._news, News()
        return news

    def describe(self, meta: Meta) -> None:
        """This node says something else of itself."""
        if meta != self.own.meta and not self.has_left:
            self._assert_life(self.own.incarnation + 1, meta)

    def leave(self) -> None:
        """This node says farewell."""
        self.own = replace(self.own, state=State.LEFT)
        self.rumours.put(Left(self.own.node_id, self.own.incarnation))

    def accuse(self, node_id: NodeId, now: float) -> None:
        """This node's own probe of a member has failed."""
        member = self.table.get(node_id)
        if member is not None and member.state.live:
            self._suspect(Suspect(node_id, member.incarnation, (self.own.node_id,)), now)

    def bury(self, member: Member, now: float) -> None:
        """The process of a member is gone, unless it has told something newer of itself."""
        known = self.table.get(member.node_id)
        if known is not None and known.state.live and known.address == member.address:
            self._end(Dead(member.node_id, member.incarnation), State.DEAD, now)

    def give_up(self, node_id: NodeId, now: float) -> None:
        """A suspect's time is over."""
        self._end(Dead(node_id, self.table.everybody[node_id].incarnation), State.DEAD, now)

    def hear(self, update: Update, now: float) -> None:
        """Take in an update of a datagram."""
        if update.node_id == self.own.node_id:
            self._hear_of_self(update)
            return
        match update:
            case Alive(member):
                self._alive(member, now)
            case Suspect():
                self._suspect(update, now)
            case Dead():
                self._end(update, State.DEAD, now)
            case Left():
                self._end(update, State.LEFT, now)
            case _:
                assert_never(update)

    def merge(self, exchange: Exchange, now: float) -> None:
        """Take in another member's table.

        Who is dead there and alive here is suspected, no more: it gets to refute before anybody
        here loses it, as after a partition, when each half has buried the other. A node that knew
        nobody has nobody to tell: those who told it know already.
        """
        newcomer = not self.table.live_count
        for member in exchange.members:
            node_id, incarnation = member.node_id, member.incarnation
            update: Update
            match member.state:
                case State.ALIVE:
                    update = Alive(member)
                case State.LEFT:
                    update = Left(node_id, incarnation)
                case State.DEAD if not self._is_live(node_id):
                    update = Dead(node_id, incarnation)
                case _:
                    update = Suspect(node_id, incarnation, (exchange.sender,))
            if member.state is State.DEAD and isinstance(update, Suspect):
                self._doubt(node_id)
            if node_id != self.own.node_id and self.table.get(node_id) is None:
                self._first_heard(member, now)
            self.hear(update, now)
            if newcomer and node_id != self.own.node_id:
                self.rumours.drop(node_id)

    def told(self) -> tuple[Member, ...]:
        """This node's table as it tells it in a push-pull, itself first."""
        return (self.own, *self.table.first_hand())

    def about(self, receiver: NodeId) -> Update | None:
        """What a member would want to refute (Lifeguard, section 4.C: the buddy system)."""
        member = self.table.get(receiver)
        if member is None:
            return None
        match member.state:
            case State.ALIVE:
                return None
            case State.SUSPECT:
                accusers = self.suspicions[receiver].accusers
                return Suspect(receiver, member.incarnation, accusers)
            case State.DEAD:
                return Dead(receiver, member.incarnation)
            case State.LEFT:
                return Left(receiver, member.incarnation)
            case _:
                assert_never(member.state)

    def check(self) -> None:
        """Assert the invariants."""
        self.table.check()
        self.rumours.check()
        suspects = {
            node_id
            for node_id, member in self.table.everybody.items()
            if member.state is State.SUSPECT
        }
        assert suspects == self.suspicions.keys()
        assert self.own.node_id not in self.table.everybody

    def _doubt(self, node_id: NodeId) -> None:
        if (known := self.table.get(node_id)) is not None:
            self._news.doubted.append(known)

    def _is_live(self, node_id: NodeId) -> bool:
        """Whether a node is a member for us; this one always is."""
        member = self.table.get(node_id)
        return node_id == self.own.node_id or (member is not None and member.state.live)

    def _hear_of_self(self, update: Update) -> None:
        """Others' news of this node: refuted by a greater incarnation, which only it may choose."""
        if self.has_left:
            return
        own = self.own
        match update:
            case Alive(member):
                if member.address != own.address:
                    self._news.disputed.append(member.address)
                elif member.precedence >= own.precedence and member != own:
                    self._assert_life(member.incarnation + 1, own.meta)
            case Suspect() | Dead() | Left():
                if update.incarnation >= own.incarnation:
                    self._news.refutations += isinstance(update, Suspect)
                    self._assert_life(update.incarnation + 1, own.meta)
                else:
                    self.rumours.put(Alive(own))
            case _:
                assert_never(update)

    def _assert_life(self, incarnation: int, meta: Meta) -> None:
        self.own = replace(self.own, incarnation=incarnation, meta=meta)
        self.rumours.put(Alive(self.own))

    def _first_heard(self, member: Member, now: float) -> None:
        """Take in a node from another one's table: the living as alive, the ended as they are."""
        if not self.table.has_room():
            return
        if member.state.live:
            self._alive(replace(member, state=State.ALIVE), now)
        else:
            self.table.put_hearsay(member, now)

    def _alive(self, member: Member, now: float) -> None:
        known = self.table.get(member.node_id)
        if known is None:
            if not self.table.has_room():
                return
        elif member.precedence <= known.precedence:
            return
        elif known.state.live and member.address != known.address:
            return  # Its id is taken for as long as the other one answers probes.
        self._believe(member, known, now)
        self.rumours.put(Alive(member))

    def _suspect(self, suspect: Suspect, now: float) -> None:
        known = self.table.get(suspect.node_id)
        precedence = suspect.incarnation, State.SUSPECT
        if known is None or precedence < known.precedence:
            return
        if precedence == known.precedence:
            suspicion = self.suspicions[suspect.node_id]
            if not suspicion.confirm(suspect.accusers):
                return
            self._news.suspicions.add(suspect.node_id)
        else:
            suspicion = self._suspicion(suspect.accusers, now)
            changed = replace(known, state=State.SUSPECT, incarnation=suspect.incarnation)
            self._believe(changed, known, now)
            self.suspicions[suspect.node_id] = suspicion
        self.rumours.put(replace(suspect, accusers=suspicion.accusers))

    def _end(self, update: Dead | Left, state: State, now: float) -> None:
        known = self.table.get(update.node_id)
        if known is None or (update.incarnation, state) <= known.precedence:
            return
        self._believe(replace(known, state=state, incarnation=update.incarnation), known, now)
        self.rumours.put(update)

    def _suspicion(self, accusers: Sequence[NodeId], now: float) -> Suspicion:
        """As many confirmations are wanted as there are members to give them."""
        least_s, most_s = self._timings.suspicion_bounds(self.size)
        return Suspicion(
            wanted=max(0, min(self._timings.confirmations, MAX_ACCUSERS - 1, self.size - 2)),
            least_s=least_s,
            most_s=most_s,
            accusers=accusers,
            now=now,
        )

    def _believe(self, member: Member, before: Member | None, now: float) -> None:
        """Change what is believed, and say so."""
        self.table.put(member, now)
        if self.suspicions.pop(member.node_id, None) or member.state is State.SUSPECT:
            self._news.suspicions.add(member.node_id)
        was_live = before is not None and before.state.live
        if not member.state.live:
            if was_live:
                self._news.changes.append(Gone(member))
        elif before is None or not was_live:
            self._news.changes.append(Joined(member))
        elif (before.state, before.meta) != (member.state, member.meta):
            self._news.changes.append(Updated(member, before))
