"""Each request is answered once, whatever becomes of the leader."""

from __future__ import annotations

from random import Random

from eagle_node.base.ids import NodeId
from eagle_node.consensus.events import Answered, Asked, Send
from eagle_node.consensus.messages import Response
from eagle_node.consensus.outbox import Outbox
from eagle_node.consensus.raft_events import Proposed, ReadAsked
from eagle_node.consensus.records import SetSetting
from eagle_node.consensus.requests import (
    ANSWER_S,
    OthersRequest,
    OwnRequest,
    Waiting,
    answer,
    for_log,
)
from tests.unit.consensus.builders import node

ME, LEADER, OTHER = (node(number).node_id for number in (1, 2, 3))


def response(number: int, status: str = "done") -> Response:
    return Response(number=number, status=status, view=None)


def statuses(answers: object) -> list[tuple[object, str]]:
    return [(each.token, each.status) for each in answers]  # type: ignore[attr-defined]


def asked(waiting: Waiting, token: str, *, key: str = "", leader: NodeId = LEADER) -> int:
    """Ask at second 0; the request's number."""
    return waiting.ask(Asked(token=token, key=key, value="1"), leader, 0.0).number


def test_the_log_takes_a_write_with_its_key_and_a_read_without() -> None:
    """Who asked comes back with the outcome."""
    asker = OwnRequest(token="t")
    assert for_log(asker, "k", "v") == Proposed(command=SetSetting(key="k", value="v"), token=asker)
    assert for_log(asker, "", "") == ReadAsked(token=asker)


def test_an_own_request_is_answered_here_and_anothers_there() -> None:
    """The other node knows it by its number."""
    outbox = Outbox(ME)
    answer(outbox, OwnRequest(token="t"), "unknown")
    answer(outbox, OthersRequest(node=OTHER, number=7), "refused")
    assert outbox.drain() == [
        Answered(token="t", status="unknown", view=None),
        Send(target=OTHER, address=None, message=response(7, "refused")),
    ]


def test_a_second_answer_is_none() -> None:
    """Messages may come twice, and answers after the wait is over."""
    waiting = Waiting(Random(1))
    number = asked(waiting, "t")
    assert statuses(waiting.answered(response(number))) == [("t", "done")]
    assert not waiting.answered(response(number))
    assert not waiting.given_up(ANSWER_S)


def test_an_answer_is_waited_for_so_long_and_no_longer() -> None:
    """A write may have been carried out; a read may be asked for again."""
    waiting = Waiting(Random(1))
    asked(waiting, "write", key="k")
    asked(waiting, "read")
    assert not waiting.given_up(ANSWER_S - 0.1)
    assert statuses(waiting.given_up(ANSWER_S)) == [("write", "unknown"), ("read", "refused")]


def test_a_node_that_is_lost_answers_nothing_any_more() -> None:
    """What was sent to others is still waited for."""
    waiting = Waiting(Random(1))
    asked(waiting, "lost")
    number = asked(waiting, "kept", leader=OTHER)
    assert statuses(waiting.given_up(0.1, LEADER)) == [("lost", "refused")]
    assert statuses(waiting.answered(response(number))) == [("kept", "done")]


def test_a_former_processs_numbers_are_others() -> None:
    """An answer that comes after a restart finds nothing to answer."""
    former, waiting = Waiting(Random(1)), Waiting(Random(2))
    number = asked(former, "t")
    asked(waiting, "t")
    assert not waiting.answered(response(number))
