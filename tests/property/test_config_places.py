"""What a place is written as reads back as the same place."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from eagle_node.config.place_kinds import JOIN, VIP
from eagle_node.config.places import DnsTarget, HostTarget, JoinTarget, MdnsTarget, VipAddress
from eagle_node.runtime.sockets import Address

ports = st.integers(1, 65535)
labels = st.from_regex(r"[a-z0-9_]([a-z0-9_-]{0,20}[a-z0-9])?", fullmatch=True)
names = st.lists(labels, min_size=1, max_size=4).map(".".join).filter(lambda n: not n.isdecimal())
unicast = st.ip_addresses().filter(lambda ip: not (ip.is_unspecified or ip.is_multicast))


@given(
    st.one_of(
        st.builds(Address, st.one_of(unicast.map(str), names), ports).map(
            lambda address: HostTarget(address=address)
        ),
        st.builds(
            DnsTarget,
            name=names.filter(lambda n: not n[-1].isdecimal() or "." not in n),
            port=ports,
        ),
        st.just(MdnsTarget()),
    )
)
def test_join_targets_round_trip(target: JoinTarget) -> None:
    """`JOIN` reads the text of every target as that target."""
    assume(str(target).split(":")[0] != "mdns" or isinstance(target, MdnsTarget))
    assume(not isinstance(target, HostTarget) or target.address.host not in ("dns", "mdns"))
    assert JOIN.parse(str(target)) == target


@given(st.text(alphabet="0123456789abcdef:./@eth", max_size=30))
def test_virtual_addresses_round_trip(text: str) -> None:
    """What is read as a virtual address is written as one that reads back the same."""
    try:
        parsed = VIP.parse(text)
    except ValueError:
        return
    assert isinstance(parsed, VipAddress)
    assert VIP.parse(str(parsed)) == parsed


@given(unicast, st.integers(1, 128), st.sampled_from([None, "eth0", "bond0.7"]))
def test_written_virtual_addresses_read_back(
    ip: object, length: int, interface: str | None
) -> None:
    """Unless the address is special, ``ADDR/LEN@IFACE`` is read part by part."""
    text = f"{ip}/{length}" + (f"@{interface}" if interface else "")
    try:
        parsed = VIP.parse(text)
    except ValueError:
        return
    assert isinstance(parsed, VipAddress)
    assert (parsed.ip, parsed.length, parsed.interface) == (ip, length, interface)
