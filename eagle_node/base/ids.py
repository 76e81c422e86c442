"""Identifiers of nodes and torrents."""

from __future__ import annotations

import secrets
from typing import NewType

NodeId = NewType("NodeId", str)
"""32 hex digits, drawn once per data directory."""

InfoHash = NewType("InfoHash", bytes)
"""20 bytes: a v2 info-hash cut to the length that announces carry (BEP 52)."""


def new_node_id() -> NodeId:
    """A fresh random node id."""
    return NodeId(secrets.token_hex(16))
