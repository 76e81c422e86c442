"""What can be changed while a node runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One value. Keys of a node's are those of its options."""

    key: str
    value: str
    """As an option takes it: ``50MB``, ``info``, ``3``; empty: the default."""
    scope: str
    """``node``: this node, until it restarts; ``cluster``: all nodes, for good."""
    changeable: bool
    help: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """``/v1/settings``."""

    settings: tuple[Setting, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingChange:
    """The body of ``POST /v1/settings``."""

    key: str
    value: str
