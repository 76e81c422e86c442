"""Which HTTPS hosts the proxy opens, and where it lets tunnels lead. No IO."""

from __future__ import annotations

import enum
import ipaddress
import re
from dataclasses import dataclass

from eagle_node.runtime.sockets import Address, parse_address

HTTPS_PORT = 443
"""Port of hosts that are named without one (RFC 9110 section 4.2.2)."""

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)\Z")
_MOST_CHARACTERS = 253
"""Of a DNS name (RFC 1035 section 2.3.4, without the root)."""


class TunnelPolicy(enum.StrEnum):
    """Where ``CONNECT`` may lead."""

    AUTO = "auto"
    """`ANY` while the proxy listens on loopback, `INTERCEPTED` else."""
    ANY = "any"
    """Everywhere."""
    INTERCEPTED = "intercepted"
    """To hosts on the intercept list, whether they can be opened or not."""
    NONE = "none"
    """Nowhere unseen: only hosts that are really opened."""


@dataclass(frozen=True, slots=True)
class HostPattern:
    """A host, or with ``below`` every name below it, at one port."""

    host: str
    """In its canonical form (`canonical_host`)."""
    port: int = HTTPS_PORT
    below: bool = False

    def matches(self, target: Address) -> bool:
        """Whether a target with a canonical host is meant."""
        if target.port != self.port:
            return False
        return target.host.endswith(f".{self.host}") if self.below else target.host == self.host

    def __str__(self) -> str:
        name = str(Address(self.host, self.port))
        if self.port == HTTPS_PORT:
            name = name.removesuffix(f":{HTTPS_PORT}")
        return f"*.{name}" if self.below else name


def parse_pattern(text: str) -> HostPattern:
    """``HOST[:PORT]``, ``*.DOMAIN[:PORT]``; `ValueError` otherwise."""
    below = text.startswith("*.")
    try:
        target = parse_target(text[2:] if below else text, default_port=HTTPS_PORT)
    except ValueError:
        target = None
    if target is None or (below and (is_ip(target.host) or "." not in target.host)):
        raise ValueError(
            f"{text[:80]!r} is no host to open; write registry.example, registry.example:5000, "
            "*.example.com or [2001:db8::7]:5000"
        )
    return HostPattern(target.host, target.port, below)


def parse_target(text: str, *, default_port: int | None = None) -> Address:
    """A host and a port from 1 to 65535, the host canonical; `ValueError` otherwise."""
    if not text.isascii() or not text.isprintable() or text != text.strip():
        raise ValueError(f"{text[:80]!r} is not host:port")
    parsed = parse_address(text, default_port=default_port)
    if parsed.port == 0:
        raise ValueError(f"{text[:80]!r} has port 0, where nobody listens")
    return Address(canonical_host(parsed.host), parsed.port)


def canonical_host(host: str) -> str:
    """Lower case without the root's dot, or an IP address in its usual form; else `ValueError`."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        name = host.lower().removesuffix(".")
    labels = name.split(".")
    if len(name) > _MOST_CHARACTERS or not all(map(_LABEL.match, labels)) or labels[-1].isdecimal():
        raise ValueError(f"{host[:80]!r} is neither a host name nor an IP address")
    return name


def is_ip(host: str) -> bool:
    """Whether a canonical host is an address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
