"""What a node says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from eagle_node.base.errors import UsageError
from eagle_node.base.ids import NodeId
from eagle_node.cluster.describe import candidate_of, describe, seen_vips
from eagle_node.config.load import assemble
from eagle_node.config.sources import from_flags
from eagle_node.config.tree import Config, Role
from eagle_node.membership.member import Member
from eagle_node.membership.meta import Meta
from eagle_node.runtime.sockets import Address

PORTS = {"proxy": 43002, "swarm": 61007, "metainfo": 55008, "tracker": 6969, "raft": 7947}


def config(**flags: str) -> Config:
    """What flags make, ``join`` among them."""
    given = {name.replace("_", "-"): [text] for name, text in {"join": "a", **flags}.items()}
    return assemble(from_flags(given), default_data_dir=Path("/nowhere"))


def described(meta: Meta) -> Member:
    """A member that says so."""
    return Member(node_id=NodeId("a" * 32), address=Address("10.0.0.1", 7946), meta=meta)


def test_an_open_node_may_be_given_all_but_the_address() -> None:
    """Without ``--vip`` it could not carry it; the port of the proxy is nobody's business."""
    meta = describe(config(zone="z"), PORTS, roles=[Role.SEEDER], voter=True)
    assert meta.roles == ("peer", "proxy", "seeder")
    assert (meta.never, meta.pinned) == (("vip",), ())
    assert meta.port("metainfo") == 55008
    assert meta.port("proxy") == 0
    candidate = candidate_of(described(meta), age_s=7.0)
    assert candidate is not None
    assert candidate.address == Address("10.0.0.1", 7947)
    assert [role for role in ("seeder", "tracker", "vip") if candidate.can(role)] == [
        "seeder",
        "tracker",
    ]


def test_a_list_of_roles_pins_them_and_excludes_the_rest() -> None:
    """The leader gives such a node its lease, and no other one."""
    meta = describe(config(role="proxy,peer,seeder"), PORTS, roles=(), voter=False)
    assert meta.pinned == ("seeder",)
    assert meta.never == ("tracker", "vip")


def test_excluded_things_are_told() -> None:
    """``--never`` reaches the leader."""
    meta = describe(config(never="voter,tracker", vip="10.0.0.9/24"), PORTS, roles=(), voter=False)
    assert meta.never == ("tracker", "voter")
    candidate = candidate_of(described(meta), age_s=0.0)
    assert candidate is not None
    assert candidate.can("vip")
    assert not candidate.can("tracker")
    assert "voter" in candidate.never


def test_who_has_no_raft_port_takes_no_part() -> None:
    """A member of another make is no candidate."""
    assert candidate_of(described(Meta()), age_s=0.0) is None


def test_different_virtual_addresses_are_seen() -> None:
    """By address, with the nodes that were told of it."""
    one, other = described(Meta(labels=(("vip", "10.0.0.9"),))), described(Meta())
    assert seen_vips({NodeId("a"): one, NodeId("b"): other}) == {"10.0.0.9": [NodeId("a")]}


def test_a_label_that_is_too_long_to_tell_is_refused() -> None:
    """The error names the flags."""
    with pytest.raises(UsageError, match="shorten --name, --zone"):
        describe(
            config(zone="z" * 250, rack="r" * 250, group="g" * 250), PORTS, roles=(), voter=False
        )
