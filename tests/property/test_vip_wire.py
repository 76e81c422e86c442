"""Probes and announcements, read back by tcpdump and by our own parsers."""

from __future__ import annotations

import struct
import subprocess
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eagle_node.vip.wire import (
    Claim,
    announcements,
    mac_text,
    parse_advertisement,
    parse_arp,
    probe,
)

macs = st.binary(min_size=6, max_size=6).map(lambda mac: bytes([mac[0] & 0xFE]) + mac[1:])
ipv4s = st.ip_addresses(v=4, network="10.0.0.0/8")
ipv6s = st.ip_addresses(v=6, network="2001:db8::/32")
PCAP_HEADER = struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
ETHERNET = 14
IPV6 = 40


def dissect(path: Path, frames: list[bytes]) -> list[str]:
    """What tcpdump says of each frame."""
    records = b"".join(
        struct.pack("=IIII", 0, 0, len(frame), len(frame)) + frame for frame in frames
    )
    path.write_bytes(PCAP_HEADER + records)
    told = subprocess.run(
        ["tcpdump", "-r", str(path), "-nn", "-e", "-t", "-vv"],
        check=True,
        capture_output=True,
        text=True,
    )
    return told.stdout.replace("\n\t", " ").replace("\n  ", " ").splitlines()


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for tcpdump."""
    return tmp_path_factory.mktemp("wire") / "frames.pcap"


PER_CAPTURE = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@PER_CAPTURE
@given(pairs=st.lists(st.tuples(macs, ipv4s), min_size=1, max_size=10))
def test_tcpdump_reads_arp(capture: Path, pairs: list[tuple[bytes, IPv4Address]]) -> None:
    """Announcements are a request and a reply of the owner, to all; a probe has no sender."""
    frames = [f for mac, ip in pairs for f in (*announcements(mac, ip), probe(mac, ip))]
    told = iter(dissect(capture, frames))
    for mac, ip in pairs:
        request, reply, probing = next(told), next(told), next(told)
        for line in (request, reply, probing):
            assert line.startswith(f"{mac_text(mac)} > ff:ff:ff:ff:ff:ff, ethertype ARP")
        assert f"Request who-has {ip} tell {ip}," in request
        assert f"Reply {ip} is-at {mac_text(mac)}," in reply
        assert f"Request who-has {ip} tell 0.0.0.0," in probing


@PER_CAPTURE
@given(pairs=st.lists(st.tuples(macs, ipv6s), min_size=1, max_size=10))
def test_tcpdump_reads_neighbour_discovery(
    capture: Path, pairs: list[tuple[bytes, IPv6Address]]
) -> None:
    """Checksums are right; advertisements override, probes come from the unspecified address."""
    frames = [f for mac, ip in pairs for f in (*announcements(mac, ip), probe(mac, ip))]
    told = iter(dissect(capture, frames))
    for mac, ip in pairs:
        advertisement, solicitation = next(told), next(told)
        for line in (advertisement, solicitation):
            assert line.startswith(f"{mac_text(mac)} > 33:33:")
            assert "[icmp6 sum ok]" in line
            assert "hlim 255" in line
        assert f"{ip} > ff02::1: " in advertisement
        assert f"neighbor advertisement, length 32, tgt is {ip}, Flags [override]" in advertisement
        assert f"destination link-address option (2), length 8 (1): {mac_text(mac)}" in (
            advertisement
        )
        assert ":: > ff02::1:ff" in solicitation
        assert f"who has {ip}" in solicitation


@given(macs, ipv4s)
def test_arp_claims_are_read(mac: bytes, ip: IPv4Address) -> None:
    """Both forms of an announcement claim the address; a probe claims nothing."""
    assert {parse_arp(frame) for frame in announcements(mac, ip)} == {Claim(ip=ip, mac=mac)}
    assert parse_arp(probe(mac, ip)) is None


@given(macs, ipv6s)
def test_advertisements_are_read(mac: bytes, ip: IPv6Address) -> None:
    """An advertisement claims its target, unless a router may have forwarded it."""
    (frame,) = announcements(mac, ip)
    message = frame[ETHERNET + IPV6 :]
    assert parse_advertisement(message, 255) == Claim(ip=ip, mac=mac)
    assert parse_advertisement(message, 254) is None
    assert parse_advertisement(probe(mac, ip)[ETHERNET + IPV6 :], 255) is None


@given(st.binary(max_size=120), st.integers(0, 120), macs, ipv6s)
def test_garbage_is_nobodys_claim(garbage: bytes, cut: int, mac: bytes, ip: IPv6Address) -> None:
    """Any bytes, and any part of a packet, are read without an error."""
    parse_arp(garbage)
    parse_advertisement(garbage, 255)
    (frame,) = announcements(mac, ip)
    parse_advertisement(frame[ETHERNET + IPV6 :][:cut], 255)
    assert parse_arp(frame) is None
