"""The index of those who have all of a blob."""

from __future__ import annotations

from itertools import islice

from eagle_node.base.ids import NodeId
from eagle_node.tracker.health import Known
from eagle_node.tracker.holders import Holders
from eagle_node.tracker.schema import NodeInfo
from eagle_node.tracker.source import Source
from tests.unit.tracker.builders import node, node_id


class Shelf:
    """An index that is checked after each step."""

    def __init__(self, *infos: NodeInfo) -> None:
        self.holders = Holders()
        self.sources: dict[NodeId, Source] = {}
        for info in infos:
            self.add(info)

    def add(self, info: NodeInfo, *, complete: bool = True, feeds: int = 0) -> Source:
        """A source that feeds so many others."""
        source = Source(Known(info, 0.0), complete=complete)
        source.children = {node_id(1000 + child): 1 for child in range(feeds)}
        self.sources[info.node_id] = source
        self.place(source)
        return source

    def place(self, source: Source) -> None:
        """Something about it has changed."""
        self.holders.place(source)
        self.holders.check(self.sources)

    def near(self, info: NodeInfo) -> list[int]:
        """The numbers of all holders, best first."""
        return [int(found, 16) for found in self.holders.near(info)]


def test_nobody_holds_a_new_blob() -> None:
    """Without holders there is none to be found."""
    shelf = Shelf()
    assert shelf.holders.idle(node(9), near=False) is None
    assert shelf.near(node(9)) == []
    assert list(shelf.holders.far(node(9))) == []


def test_only_who_has_all_is_listed() -> None:
    """Who has a part is no holder; neither is a seeder, which is the last resort."""
    shelf = Shelf()
    shelf.add(node(1), complete=False)
    shelf.add(node(2, seeder=True))
    shelf.add(node(3))
    assert shelf.near(node(9)) == [3]


def test_a_seeder_that_got_the_blob_from_others_is_a_holder() -> None:
    """Once it has joined a wave like any node, it is listed like any node."""
    shelf = Shelf()
    source = shelf.add(node(2, seeder=True))
    source.joined = True
    shelf.place(source)
    assert shelf.near(node(9)) == [2]


def test_idle_ones_come_before_busy_ones() -> None:
    """Who feeds somebody comes after all who feed nobody, however near it is."""
    shelf = Shelf(node(1, zone="b"))
    shelf.add(node(2, zone="a"), feeds=1)
    assert shelf.near(node(9, zone="a")) == [1, 2]
    assert shelf.holders.idle(node(9, zone="a"), near=True) is None
    assert shelf.holders.idle(node(9, zone="b"), near=True) == node_id(1)


def test_who_gets_its_first_child_is_busy_until_the_last_has_gone() -> None:
    """Children move a holder between the shelves."""
    shelf = Shelf(node(1))
    source = shelf.sources[node_id(1)]
    source.children[node_id(5)] = 2
    shelf.place(source)
    assert shelf.holders.idle(node(9), near=True) is None
    source.children.clear()
    shelf.place(source)
    assert shelf.holders.idle(node(9), near=True) == node_id(1)


def test_the_own_rack_comes_first_then_the_zone_then_others() -> None:
    """Labels count before addresses."""
    shelf = Shelf(
        node(1, zone="b", rack="r1"),
        node(2, zone="a", rack="r2"),
        node(3, zone="a", rack="r1"),
    )
    assert shelf.near(node(9, zone="a", rack="r1")) == [3, 2, 1]
    assert shelf.holders.idle(node(9, zone="a", rack="r1"), near=True) == node_id(3)


def test_of_one_rack_the_longest_common_prefix_comes_first() -> None:
    """Addresses decide where labels do not."""
    shelf = Shelf(node(1, host="10.9.0.1"), node(2, host="10.1.2.3"), node(3, host="2001:db8::1"))
    assert shelf.near(node(9, host="10.1.2.4")) == [2, 1, 3]


def test_a_node_is_no_holder_to_itself() -> None:
    """Who asks is left out, idle or busy."""
    shelf = Shelf(node(1))
    assert shelf.holders.idle(node(1), near=True) is None
    assert shelf.near(node(1)) == []


def test_near_means_the_zone() -> None:
    """No holder of another zone is near."""
    shelf = Shelf(node(1, zone="b"))
    assert shelf.holders.idle(node(9, zone="a"), near=True) is None
    assert shelf.holders.idle(node(9, zone="a"), near=False) == node_id(1)


def test_far_means_other_zones() -> None:
    """Holders of the own zone are not far; idle ones of others come first."""
    shelf = Shelf(node(2, zone="a"), node(3, zone="b"))
    shelf.add(node(1, zone="c"), feeds=1)
    assert [int(found, 16) for found in shelf.holders.far(node(9, zone="a"))] == [3, 1]


def test_who_is_removed_is_listed_no_more() -> None:
    """A holder may be removed twice, and one that never was may be removed."""
    shelf = Shelf(node(1), node(2))
    gone = shelf.sources.pop(node_id(1))
    for _ in range(2):
        shelf.holders.remove(gone)
    shelf.holders.remove(Source(Known(node(7), 0.0)))
    shelf.holders.check(shelf.sources)
    assert shelf.near(node(9)) == [2]


def test_few_of_many_are_compared() -> None:
    """A thousand holders cost no more than some: those of the own rack are found among them."""
    shelf = Shelf(*(node(number, zone="a", rack="r2") for number in range(1, 1001)))
    shelf.add(node(2000, zone="a", rack="r1"))
    joiner = node(3000, zone="a", rack="r1")
    assert shelf.holders.idle(joiner, near=True) == node_id(2000)
    assert next(shelf.holders.near(joiner)) == node_id(2000)
    assert len(list(islice(shelf.holders.near(joiner), 2000))) == 64
