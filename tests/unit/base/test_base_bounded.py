"""Rules of `BoundedDict`."""

from __future__ import annotations

from eagle_node.base.bounded import BoundedDict


def test_what_was_set_longest_ago_goes_first() -> None:
    """To be set again, or moved to the end, is as good as to be new."""
    memory: BoundedDict[str, int] = BoundedDict(3)
    for number, name in enumerate("abc"):
        memory[name] = number
    memory["a"] = 7
    memory.move_to_end("b")
    memory["d"] = 3
    assert list(memory.items()) == [("a", 7), ("b", 1), ("d", 3)]
    memory.setdefault("e", 4)
    assert list(memory) == ["b", "d", "e"]
