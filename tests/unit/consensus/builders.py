"""Members, logs and messages in few words."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeVar

from eagle_node.base.ids import NodeId
from eagle_node.consensus.messages import Append, RaftMessage, RequestVote, VoteReply
from eagle_node.consensus.policy import Candidate
from eagle_node.consensus.raft import Raft, Role
from eagle_node.consensus.raft_events import Effect, Received, Send, Ticked
from eagle_node.consensus.records import (
    Configuration,
    Durable,
    Entry,
    MemberId,
    SetSetting,
    Snapshot,
    Voter,
)
from eagle_node.consensus.timing import Timing
from eagle_node.runtime.sockets import Address

TIMING = Timing()
ELECTED_AT = 7.0
M = TypeVar("M")


def member(number: int) -> MemberId:
    """The log of the node of that number."""
    return MemberId(f"{number:032x}-00000000")


def voter(number: int) -> Voter:
    """The same with its address."""
    return Voter(member=member(number), host=f"192.0.2.{number}", port=7947)


def node(number: int, **labels: object) -> Candidate:
    """A member of the cluster."""
    return Candidate(
        node_id=NodeId(f"{number:032x}"),
        address=Address(f"192.0.2.{number}", 7947),
        **labels,  # type: ignore[arg-type]
    )


def entry(index: int, term: int) -> Entry:
    """An entry that says where it is."""
    return Entry(index=index, term=term, command=SetSetting(key="k", value=f"{index}.{term}"))


def entries(*terms: int, first: int = 2) -> tuple[Entry, ...]:
    """Entries of these terms."""
    return tuple(entry(index, term) for index, term in enumerate(terms, first))


def raft(*terms: int, term: int = 0, vote: int | None = None, size: int = 3, me: int = 1) -> Raft:
    """A member whose log holds entries of these terms after the first snapshot."""
    configuration = Configuration(voters=tuple(voter(n) for n in range(1, size + 1)))
    durable = Durable(
        term=max((term, *terms)),
        vote=member(vote) if vote else None,
        snapshot=Snapshot(index=1, configuration=configuration),
        entries=entries(*terms),
    )
    return Raft(me=member(me), durable=durable, timing=TIMING, chance=Random(1), now=0.0)


def tell(target: Raft, sender: int, message: RaftMessage, now: float = 0.1) -> Sequence[Effect]:
    """The effects of a message."""
    effects = target.handle(Received(sender=member(sender), message=message), now)
    target.check()
    return effects


def sent(effects: Sequence[Effect], kind: type[M]) -> list[M]:
    """The messages of one kind among effects."""
    messages = [each.message for each in effects if isinstance(each, Send)]
    return [each for each in messages if isinstance(each, kind)]


def append(term: int, *new: Entry, prev: tuple[int, int] = (1, 0), commit: int = 1) -> Append:
    """An AppendEntries."""
    return Append(
        term=term,
        prev_index=prev[0],
        prev_term=prev[1],
        entries=new,
        commit=commit,
        round=1,
    )


def request_vote(term: int, last: tuple[int, int], *, transfer: bool = False) -> RequestVote:
    """A RequestVote of a candidate whose log ends at (index, term)."""
    return RequestVote(term=term, last_index=last[0], last_term=last[1], transfer=transfer)


def grant(term: int, *, pre: bool = False, silence_s: float = 1.0) -> VoteReply:
    """A vote."""
    return VoteReply(term=term, granted=True, pre=pre, silence_s=silence_s)


def stand(target: Raft, *, since: float = 0.0) -> None:
    """Let time pass until a member loses patience."""
    now = since
    while target.role is not Role.PRE_CANDIDATE:
        now += TIMING.tick_s
        assert now < since + 3.0
        target.handle(Ticked(), now)


def elect(target: Raft, *, voters: Sequence[int] = (2,)) -> Sequence[Effect]:
    """Let a member stand and, at `ELECTED_AT`, win; the effects of the last vote."""
    effects: Sequence[Effect] = ()
    stand(target)
    for number in voters:
        tell(target, number, grant(target.term + 1, pre=True), ELECTED_AT)
    for number in voters:
        effects = tell(target, number, grant(target.term), ELECTED_AT)
    return effects
