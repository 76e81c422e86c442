"""The table of options."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from eagle_node.config.load import replaced
from eagle_node.config.options import OPTIONS, Option
from eagle_node.config.tree import Config
from eagle_node.runtime.sockets import Address

DECIDED = {"node.roles", "cluster.enabled", "cluster.elected"}
"""What several options together decide."""


def leaves(part: Any, prefix: str = "") -> Iterator[str]:
    """Dotted names of the fields of ``part``, addresses counted as host and port."""
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if dataclasses.is_dataclass(value):
            yield from leaves(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}"


def test_every_field_of_the_tree_can_be_set() -> None:
    """No part of the configuration is out of reach of flags, environment and file."""
    targets = {target for option in OPTIONS.values() for target in option.targets}
    reached = {
        leaf
        for leaf in leaves(Config())
        if leaf in targets or leaf.rpartition(".")[0] in targets  # a whole address
    }
    assert reached == set(leaves(Config())) - DECIDED


def test_no_field_is_set_by_two_options() -> None:
    """What an option says cannot be undone by another one."""
    targets = [target for option in OPTIONS.values() for target in option.targets]
    assert len(targets) == len(set(targets))


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: option.name)
def test_names_are_the_same_in_all_sources(option: Option) -> None:
    """The variable is the flag in capitals, so nobody needs to look it up."""
    assert option.flag == f"--{option.name}"
    assert option.variable == "EAGLE_NODE_" + option.flag[2:].replace("-", "_").upper()


def test_a_target_may_lie_within_an_address() -> None:
    """A port option leaves the host of its listener alone."""
    config = replaced(Config(), "tracker.listen.port", 7000)
    assert config.tracker.listen == Address("0.0.0.0", 7000)
    assert replaced(config, "tracker.listen.port", 6969) == Config()
