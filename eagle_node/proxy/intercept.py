"""What is done with a ``CONNECT``, as a pure function of its target (RFC 9110 section 9.3.6).

Hosts on the intercept list are opened; by default these are the registries that ``--registry``
names, by their names and where they are reached by HTTPS: of others the node cannot know that they
are registries, and a connection that nobody asked to have opened is not to be looked into.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass

from yarl import URL

from eagle_node.config.hosts import (
    HTTPS_PORT,
    HostPattern,
    TunnelPolicy,
    canonical_host,
    parse_pattern,
    parse_target,
)
from eagle_node.config.tree import ProxyConfig
from eagle_node.registry.names import BadName, parse_registry
from eagle_node.runtime.sockets import Address, is_loopback

_REQUEST_LINE = re.compile(rb"CONNECT ([!-~]{1,300}) HTTP/1\.[01]\r\n")
_FIELD_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}:[\t\x20-\x7e\x80-\xff]*\r\n")


class Way(enum.Enum):
    """What becomes of a connection."""

    OPEN = "open"
    """Opened with the local CA; without one tunnelled."""
    TUNNEL = "tunnel"
    """Passed on as it is."""
    REFUSE = "refuse"
    """Not made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The server that the node stands in for on an opened connection."""

    target: Address
    """What the client has asked for."""
    registry: str | None
    """The registry that it is in image references; None: it may not be asked for as one."""
    base: URL
    """Where it is really reached; its path goes before that of requests."""

    @property
    def origin(self) -> URL:
        """The server as its clients know it."""
        return URL.build(scheme="https", host=self.target.host, port=self.target.port)

    def is_host(self, named: str) -> bool:
        """Whether a ``Host`` field means this server."""
        try:
            return parse_target(named, default_port=HTTPS_PORT) == self.target
        except ValueError:
            return False


def parse_head(head: bytes) -> Address:
    """The target of a ``CONNECT``'s head, its last empty line included; `BadName` otherwise."""
    match = _REQUEST_LINE.match(head)
    if match is None:
        raise BadName("this is no CONNECT host:port HTTP/1.1")
    lines = head[match.end() : -2]
    while lines:
        field = _FIELD_LINE.match(lines)
        if field is None:
            raise BadName("a header field of this CONNECT is malformed")
        lines = lines[field.end() :]
    target = match[1].decode("ascii")
    try:
        return parse_target(target)
    except ValueError as error:
        raise BadName(f"CONNECT to no host and port: {error}") from error


class Intercepts:
    """The intercept list and the tunnel policy of one node."""

    def __init__(self, config: ProxyConfig) -> None:
        self._registries = {each.name: URL(each.url) for each in config.registries}
        self._only_configured = config.only_configured
        self.given: Sequence[HostPattern] = config.intercept
        """The list, if there was one."""
        self.patterns: Sequence[HostPattern] = config.intercept or _registry_hosts(config)
        """Which hosts are opened."""
        self._policy = config.tunnel
        if self._policy is TunnelPolicy.AUTO:
            local = is_loopback(config.listen.host)
            self._policy = TunnelPolicy.ANY if local else TunnelPolicy.INTERCEPTED

    def way(self, target: Address) -> Way:
        """What to do with a connection to ``target``."""
        if any(pattern.matches(target) for pattern in self.patterns):
            return Way.OPEN
        return Way.TUNNEL if self._policy is TunnelPolicy.ANY else Way.REFUSE

    @property
    def may_tunnel_listed(self) -> bool:
        """Whether hosts of the list that cannot be opened are tunnelled."""
        return self._policy is not TunnelPolicy.NONE

    def opened(self, target: Address) -> Opened:
        """Whom the node stands in for."""
        origin = URL.build(scheme="https", host=target.host, port=target.port)
        name = _registry_name(target)
        if name is not None and name in self._registries:
            return Opened(target=target, registry=name, base=self._registries[name])
        for registry, base in self._registries.items():
            if base.origin() == origin:
                return Opened(target=target, registry=registry, base=origin)
        return Opened(target=target, registry=None if self._only_configured else name, base=origin)


def _registry_name(target: Address) -> str | None:
    """The name in image references of the registry that HTTPS at ``target`` reaches."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    try:
        return parse_registry(host if target.port == HTTPS_PORT else f"{host}:{target.port}")
    except BadName:
        return None


def _registry_hosts(config: ProxyConfig) -> Sequence[HostPattern]:
    patterns: list[HostPattern] = []
    for registry in config.registries:
        patterns.append(parse_pattern(registry.name))
        url = URL(registry.url)
        if url.scheme == "https" and url.host and url.port:
            patterns.append(HostPattern(canonical_host(url.host), url.port))
    return list(dict.fromkeys(patterns))
