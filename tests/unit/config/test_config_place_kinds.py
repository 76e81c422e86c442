"""How the places of a cluster are written."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from eagle_node.config.kinds import Kind
from eagle_node.config.place_kinds import JOIN, RESOLVER, VIP
from eagle_node.config.places import DnsTarget, HostTarget, MdnsTarget, VipAddress
from eagle_node.config.sources import from_environment, from_flags
from eagle_node.config.toml_file import parse_toml
from eagle_node.runtime.sockets import Address

TARGETS = (HostTarget(address=Address("10.0.0.1", 7)), MdnsTarget())


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (JOIN, "10.0.0.1", HostTarget(address=Address("10.0.0.1", 7946))),
        (JOIN, "node-1.example:7", HostTarget(address=Address("node-1.example", 7))),
        (JOIN, "[2001:db8::7]:7", HostTarget(address=Address("2001:db8::7", 7))),
        (JOIN, "2001:db8::7", HostTarget(address=Address("2001:db8::7", 7946))),
        (JOIN, "dns:7", HostTarget(address=Address("dns", 7))),
        (JOIN, "dns:nodes.example", DnsTarget(name="nodes.example", port=7946)),
        (JOIN, "DNS:nodes.example.:7", DnsTarget(name="nodes.example.", port=7)),
        (JOIN, "mDNS", MdnsTarget()),
        (RESOLVER, "10.0.0.53", Address("10.0.0.53", 53)),
        (RESOLVER, "[2001:db8::53]:5353", Address("2001:db8::53", 5353)),
        (VIP, "10.0.0.9/24", VipAddress(ip=IPv4Address("10.0.0.9"), length=24)),
        (VIP, "10.0.0.9/32", VipAddress(ip=IPv4Address("10.0.0.9"), length=32)),
        (
            VIP,
            "2001:DB8::9/64@bond0.7",
            VipAddress(ip=IPv6Address("2001:db8::9"), length=64, interface="bond0.7"),
        ),
    ],
)
def test_right_values(kind: Kind, text: str, value: object) -> None:
    """Each kind reads the forms that its help promises."""
    assert kind.parse(text) == value


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        (JOIN, "", "dns:NAME[:PORT] or mdns"),
        (JOIN, "10.0.0.1:0", "port 0, where nobody listens"),
        (JOIN, "10.0.0.1:99999", "is no join target"),
        (JOIN, "0.0.0.0", "reaches no node"),
        (JOIN, "http://10.0.0.1", "is no join target"),
        (JOIN, "dns:", "is no join target"),
        (JOIN, "dns:10.0.0.1", "names no DNS domain; write dns:NAME"),
        (JOIN, "dns:a..b", "names no DNS domain"),
        (JOIN, "dns:a b", "is no join target"),
        (RESOLVER, "ns1.example", "is no resolver; write IP[:PORT]"),
        (RESOLVER, "10.0.0.53:0", "is no resolver"),
        (VIP, "10.0.0.9", "has no network length; write ADDR/LEN[@IFACE]"),
        (VIP, "10.0.0.9/33", "is no virtual address"),
        (VIP, "10.0.0.9/255.0.0.0", "has no network length"),
        (VIP, "node/24", "is no virtual address"),
        (VIP, "10.0.0.9/0", "network of length 0"),
        (VIP, "10.0.0.0/24", "is the network itself"),
        (VIP, "10.0.0.255/24", "is the network's broadcast"),
        (VIP, "127.0.0.9/8", "cannot move between hosts"),
        (VIP, "fe80::9/64@eth0", "cannot move between hosts"),
        (VIP, "224.0.0.9/24", "cannot move between hosts"),
        (VIP, "10.0.0.9/24@", "names no interface after the @"),
        (VIP, "10.0.0.9/24@a-device-with-a-name", "names no interface after the @"),
    ],
)
def test_wrong_values_tell_the_right_forms(kind: Kind, text: str, told: str) -> None:
    """A value that is refused is quoted, with what to write instead."""
    with pytest.raises(ValueError) as caught:
        kind.parse(text)
    assert told in str(caught.value)
    assert repr(text) in str(caught.value)


def test_all_sources_take_several_targets() -> None:
    """Flags repeat, the variable holds blanks, the file a list; all say the same."""
    flags = from_flags({"join": ["10.0.0.1:7", "mdns"]})
    environment = from_environment({"EAGLE_NODE_JOIN": "10.0.0.1:7 mdns"})
    file = parse_toml('join = ["10.0.0.1:7", "mdns"]', Path("node.toml"))
    assert flags["join"].value == environment["join"].value == file["join"].value == TARGETS
