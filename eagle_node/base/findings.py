"""What a check has found, for people who have to act on it."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Level(enum.StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """It works; somebody should know."""
    ERROR = "error"
    """It does not work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fact and, unless all is well, what to do about it."""

    level: Level
    subject: str
    """What it is about: a runtime, ``node``, ``ports`` …"""
    text: str
    remedy: str = ""


def ok(subject: str, text: str) -> Finding:
    """All is well."""
    return Finding(level=Level.OK, subject=subject, text=text)


def warning(subject: str, text: str, remedy: str) -> Finding:
    """It works, but."""
    return Finding(level=Level.WARNING, subject=subject, text=text, remedy=remedy)


def error(subject: str, text: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding(level=Level.ERROR, subject=subject, text=text, remedy=remedy)
