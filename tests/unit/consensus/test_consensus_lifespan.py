"""When a cluster begins and a log ends, sentence by sentence."""

from __future__ import annotations

from collections.abc import Sequence

from eagle_node.base.ids import NodeId
from eagle_node.consensus.lifespan import has_part, is_removed, why_start
from eagle_node.consensus.log import Log
from eagle_node.consensus.messages import View
from eagle_node.consensus.records import Configuration, Lineage, Snapshot
from tests.unit.consensus.builders import member, node, voter

LINEAGE = Lineage(cluster="a" * 32, created_ms=0)


def name(number: int) -> NodeId:
    return node(number).node_id


def start(
    me: int, others: Sequence[int], clusterless: Sequence[int], waited_s: float
) -> str | None:
    """What `why_start` says to a patience of one second."""
    return why_start(
        name(me),
        [name(number) for number in others],
        {name(number) for number in clusterless},
        waited_s=waited_s,
        bootstrap_s=1.0,
    )


def view(*voters: int, learners: Sequence[int] = (), version: int = 9) -> View:
    """Of a cluster that these numbers vote in."""
    return View(
        lineage=LINEAGE,
        leader=voter(2),
        term=1,
        version=version,
        voters=tuple(map(voter, voters)),
        learners=tuple(map(voter, learners)),
        leases=(),
        settings=(),
    )


def log(*voters: int, index: int = 5) -> Log:
    """One whose configuration was written at ``index``."""
    configuration = Configuration(voters=tuple(map(voter, voters)))
    return Log(Snapshot(index=index, configuration=configuration), ())


def test_a_node_alone_starts_a_cluster_after_its_patience() -> None:
    """Others may turn up until then."""
    assert start(1, (), (), 0.9) is None
    assert start(1, (), (), 1.0) == "no other node answered"


def test_of_several_new_nodes_the_lowest_starts_the_cluster() -> None:
    """The others give it three times as long, in case it cannot."""
    assert start(1, (2, 3), (2, 3), 1.0) == "no other node has one"
    assert start(2, (1, 3), (1, 3), 2.9) is None
    assert start(2, (1, 3), (1, 3), 3.0) == "no other node has one"


def test_a_node_that_has_not_answered_may_be_in_a_cluster() -> None:
    """So its answer is waited for, though not for ever."""
    assert start(1, (2, 3), (2,), 2.9) is None
    assert start(1, (2, 3), (2,), 3.0) is not None


def test_a_log_is_removed_by_a_newer_view_without_it() -> None:
    """As voter or as learner it is still needed."""
    assert is_removed(member(1), log(1, 2), view(2, 3))
    assert not is_removed(member(1), log(1, 2), view(1, 2))
    assert not is_removed(member(1), log(1, 2), view(2, learners=(1,)))


def test_an_old_view_removes_nothing() -> None:
    """It tells of a time before the log was taken in."""
    assert not is_removed(member(1), log(1, 2, index=9), view(2, 3, version=9))
    assert is_removed(member(1), log(1, 2, index=8), view(2, 3, version=9))


def test_a_log_that_was_never_in_cannot_be_removed() -> None:
    """It may be about to be taken in."""
    assert not is_removed(member(1), log(2, 3), view(2, 3))


def test_learners_have_part() -> None:
    """They are to be voters soon; the same node's former log has none."""
    configuration = Configuration(voters=(voter(1),), learners=(voter(2),))
    assert has_part(member(1), configuration)
    assert has_part(member(2), configuration)
    assert not has_part(member(3), configuration)
