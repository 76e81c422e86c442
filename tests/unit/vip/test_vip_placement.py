"""Which interface the virtual address belongs to."""

from __future__ import annotations

from ipaddress import ip_interface

import pytest

from eagle_node.base.errors import StartError
from eagle_node.config.place_kinds import VIP
from eagle_node.config.places import VipAddress
from eagle_node.vip.placement import Interface, choose_interface


def interface(name: str, *addresses: str, is_ethernet: bool = True) -> Interface:
    """An interface with ``addresses``, written ADDR/LEN."""
    return Interface(
        index=1,
        name=name,
        is_ethernet=is_ethernet,
        addresses=tuple(map(ip_interface, addresses)),
    )


def vip(text: str) -> VipAddress:
    """A value of ``--vip``."""
    parsed = VIP.parse(text)
    assert isinstance(parsed, VipAddress)
    return parsed


HOST = (
    interface("lo", "127.0.0.1/8", is_ethernet=False),
    interface("eth0", "10.0.0.1/24", "2001:db8::1/64"),
    interface("eth1", "10.1.0.1/24"),
    interface("tun0", "10.2.0.1/24", is_ethernet=False),
)


@pytest.mark.parametrize(
    ("written", "chosen"),
    [
        ("10.0.0.9/24", "eth0"),
        ("10.1.0.9/32", "eth1"),
        ("2001:db8::9/64", "eth0"),
        ("192.0.2.9/24@eth1", "eth1"),
    ],
)
def test_the_named_interface_or_the_one_in_its_network(written: str, chosen: str) -> None:
    """An address needs no interface named when one of the host's networks holds it."""
    assert choose_interface(vip(written), HOST).name == chosen


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("192.0.2.9/24", "name one of eth0, eth1 with 192.0.2.9/24@INTERFACE"),
        ("10.2.0.9/24", "no interface of this host is in its network"),
        ("10.0.0.9/24@eth7", "no Ethernet interface eth7; it has eth0, eth1"),
        ("10.2.0.9/24@tun0", "no Ethernet interface tun0"),
    ],
)
def test_what_does_not_fit_is_told(written: str, told: str) -> None:
    """An error names the address, the interfaces there are, and the way out."""
    with pytest.raises(StartError) as caught:
        choose_interface(vip(written), HOST)
    assert told in str(caught.value)


def test_two_interfaces_in_its_network_want_a_choice() -> None:
    """Nothing is guessed when two interfaces would do."""
    twins = (interface("eth0", "10.0.0.1/24"), interface("eth1", "10.0.0.2/24"))
    with pytest.raises(StartError, match="eth0, eth1 are all in its network; choose one"):
        choose_interface(vip("10.0.0.9/24"), twins)
