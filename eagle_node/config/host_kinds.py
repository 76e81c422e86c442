"""Kinds of option values about HTTPS through the proxy. No IO."""

from __future__ import annotations

from eagle_node.config.hosts import TunnelPolicy, parse_pattern
from eagle_node.config.kinds import Kind, one_of

HOST_PATTERN = Kind(metavar="HOST[:PORT]", parse=parse_pattern)
"""A `HostPattern`."""

_POLICY = one_of(*TunnelPolicy)
TUNNEL = Kind(metavar=_POLICY.metavar, parse=lambda text: TunnelPolicy(str(_POLICY.parse(text))))
"""A `TunnelPolicy`."""
