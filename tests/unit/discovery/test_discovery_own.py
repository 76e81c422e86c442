"""Which addresses are this node's own."""

from __future__ import annotations

from eagle_node.discovery.own import own_addresses
from eagle_node.runtime.sockets import Address


def test_a_listener_on_all_interfaces_is_reached_at_every_own_address() -> None:
    """Other hosts' addresses (TEST-NET-1, 2001:db8::) and other ports are not own."""
    is_own = own_addresses("0.0.0.0", 7946)
    assert is_own(Address("127.0.0.1", 7946))
    assert not is_own(Address("127.0.0.1", 7947))
    assert not is_own(Address("192.0.2.77", 7946))
    assert not is_own(Address("2001:db8::77", 7946))


def test_a_listener_on_one_address_is_reached_there_only() -> None:
    """Several nodes on one host, each at an address of its own, find each other."""
    is_own = own_addresses("127.0.0.2", 7946)
    assert is_own(Address("127.0.0.2", 7946))
    assert not is_own(Address("127.0.0.1", 7946))
