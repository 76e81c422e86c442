"""What other nodes are told of a reader's credentials."""

from __future__ import annotations

import logging

import pytest

from eagle_node.peer.discretion import Discretion
from eagle_node.registry.authorizer import ANYBODY
from eagle_node.registry.docker_config import Credential, basic
from eagle_node.runtime.sockets import Address

HERE, THERE = Address("127.0.0.1", 1), Address("192.0.2.1", 1)
OWN = basic("node", "own")


def discretion(own: Credential | None = None, *, sealed: bool = False) -> Discretion:
    """Of a node with these credentials of its own."""

    async def credential(registry: str) -> Credential | None:
        assert registry == "r.test"
        return own

    return Discretion(credential, sealed=sealed)


@pytest.mark.parametrize(("sealed", "node"), [(True, THERE), (False, HERE)])
async def test_credentials_are_shown_where_nobody_reads_them(sealed: bool, node: Address) -> None:
    """The reader's; this node's own for one who shows none; nothing when there are none."""
    for own, shown, expected in (
        (None, None, ""),
        (OWN, None, OWN.authorization),
        (OWN, "Bearer x", "Bearer x"),
    ):
        ours = discretion(own, sealed=sealed)
        reader = await ours.reader("r.test", shown)
        assert ours.shown(reader, node) == expected
        assert not ours.withholds(reader, node)


async def test_in_clear_text_they_are_withheld(caplog: pytest.LogCaptureFixture) -> None:
    """Which is said once; nothing is withheld of a reader who has none."""
    caplog.set_level(logging.WARNING)
    nobody = discretion()
    for shown in (None, ANYBODY):
        assert not nobody.withholds(await nobody.reader("r.test", shown), THERE)
    assert not caplog.records
    ours = discretion(OWN)
    for shown in (None, "Basic x", "Bearer x"):
        reader = await ours.reader("r.test", shown)
        assert ours.shown(reader, THERE) == ""
        assert ours.withholds(reader, THERE)
    (told,) = caplog.records
    assert "--cluster-key-file" in told.getMessage()


async def test_an_identity_token_goes_to_no_other_node() -> None:
    """What needs it is withheld, on any connection."""
    for sealed in (True, False):
        ours = discretion(Credential(identity_token="refresh"), sealed=sealed)
        reader = await ours.reader("r.test", None)
        assert ours.shown(reader, HERE) == ""
        assert ours.withholds(reader, HERE)
