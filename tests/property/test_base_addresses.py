"""Laws of addresses."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from eagle_node.runtime.sockets import Address, parse_address

hosts = st.ip_addresses().map(str) | st.from_regex(
    r"[a-z0-9](?:[a-z0-9-]{0,10}[a-z0-9])?(?:\.[a-z]{1,5}){0,2}", fullmatch=True
)
ports = st.integers(0, 65535)


@given(hosts, ports)
def test_an_address_survives_being_written_and_read(host: str, port: int) -> None:
    """``str`` and `parse_address` are inverse for names and for both families of literals."""
    assert parse_address(str(Address(host, port))) == Address(host, port)


@given(hosts, ports)
def test_a_bare_host_gets_the_default_port(host: str, port: int) -> None:
    """IPv6 literals need no brackets then."""
    assert parse_address(host, default_port=port) == Address(host, port)


@given(st.text(max_size=40) | st.from_regex(r"[\[\]:%a-f0-9. /@-]{0,20}", fullmatch=True))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    """What parses can be written and read again."""
    with suppress(ValueError):
        address = parse_address(text, default_port=1)
        assert 0 <= address.port <= 65535
        assert parse_address(str(address)) == address
