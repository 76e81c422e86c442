"""Requests: a setting to be set, or the state to be read, in one linearizable step. Sans-IO.

A node that leads hands its own requests and those of others to the log; any other node sends its
own to the leader, and waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import assert_never

from eagle_node.base.ids import NodeId
from eagle_node.consensus.events import Answered, Asked
from eagle_node.consensus.messages import Request, Response, View
from eagle_node.consensus.outbox import Outbox
from eagle_node.consensus.raft_events import Proposed, ReadAsked
from eagle_node.consensus.records import SetSetting

ANSWER_S = 4.0
"""How long the leader's answer to a request is awaited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRequest:
    """This node asks; ``token`` is that of `Asked`."""

    token: object


@dataclass(frozen=True, slots=True, kw_only=True)
class OthersRequest:
    """Another node asks, under a number of its own."""

    node: NodeId
    number: int


Asker = OwnRequest | OthersRequest


def for_log(asker: Asker, key: str, value: str) -> Proposed | ReadAsked:
    """A request as the log takes it; without a key, a read."""
    if key:
        return Proposed(command=SetSetting(key=key, value=value), token=asker)
    return ReadAsked(token=asker)


def answer(outbox: Outbox, asker: Asker, status: str, view: View | None = None) -> None:
    """Tell who asked what came of it; ``view`` is the state after it."""
    match asker:
        case OwnRequest():
            outbox.add(Answered(token=asker.token, status=status, view=view))
        case OthersRequest():
            response = Response(number=asker.number, status=status, view=view)
            outbox.send(asker.node, response)
        case _:
            assert_never(asker)


class Waiting:
    """Requests of this node that were sent to the leader; each is answered once."""

    def __init__(self, chance: Random) -> None:
        self._sent: dict[int, _Sent] = {}
        self._numbers = chance.getrandbits(40)
        """Begins anywhere: an answer to a former process's request finds nothing here."""

    def ask(self, asked: Asked, leader: NodeId, now: float) -> Request:
        """What to send to the leader."""
        self._numbers += 1
        self._sent[self._numbers] = _Sent(
            token=asked.token, reads=not asked.key, leader=leader, until=now + ANSWER_S
        )
        return Request(number=self._numbers, key=asked.key, value=asked.value)

    def answered(self, response: Response) -> Sequence[Answered]:
        """What a response amounts to: nothing, when it comes too late or twice."""
        sent = self._sent.pop(response.number, None)
        if sent is None:
            return ()
        return (Answered(token=sent.token, status=response.status, view=response.view),)

    def given_up(self, now: float, lost: NodeId | None = None) -> Sequence[Answered]:
        """The end of those that are overdue, and of those that a lost node will not answer."""
        over = [n for n, sent in self._sent.items() if now >= sent.until or sent.leader == lost]
        gone = [self._sent.pop(number) for number in over]
        return [Answered(token=sent.token, status=sent.unanswered, view=None) for sent in gone]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    token: object
    reads: bool
    leader: NodeId
    until: float

    @property
    def unanswered(self) -> str:
        """What to say without an answer: a read may simply be asked for again."""
        return "refused" if self.reads else "unknown"
