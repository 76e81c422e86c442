"""Which nodes a job is for."""

from __future__ import annotations

import pytest

from eagle_node.base.errors import UsageError
from eagle_node.base.ids import NodeId
from eagle_node.preheat.selection import parse_selection
from eagle_node.tracker.schema import NodeInfo

NODES = [
    NodeInfo(
        node_id=NodeId(f"{number:032x}"),
        host=f"192.0.2.{number}",
        port=1,
        zone="ab"[number % 2],
        group="other" if number == 9 else "",
        seeder=number < 2,
    )
    for number in range(10)
]


def chosen(text: str, key: str = "image") -> list[int]:
    """Numbers of the nodes that a selection means."""
    found = parse_selection(text).of(NODES, group="", key=key)
    return [int(node.node_id, 16) for node in found]


def test_each_form_means_its_nodes() -> None:
    """Of the own group only: others cannot share with it."""
    assert chosen("all") == list(range(9))
    assert chosen("100%") == list(range(9))
    assert chosen("seeders") == [0, 1]
    assert chosen("zone=a") == [0, 2, 4, 6, 8]
    assert chosen("zone=") == []


def test_a_part_is_the_same_for_the_same_image_only() -> None:
    """Rounded up, so that it is never nothing; spread over the nodes by the image's name."""
    assert len(chosen("50%")) == 5
    assert len(chosen("1%")) == 1
    assert chosen("30%") == chosen("30%")
    assert len({tuple(chosen("10%", f"image {number}")) for number in range(50)}) > 3


@pytest.mark.parametrize("text", ["", "ALL", "zone", "0%", "101%", "1.5%", "-1%", "%", "all=1"])
def test_other_forms_are_refused(text: str) -> None:
    """With the forms that there are."""
    with pytest.raises(UsageError, match="none of all, seeders, zone=NAME and N%"):
        parse_selection(text)
