"""Errors."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An error (RFC 9457)."""

    type: str
    """A URI; ``about:blank`` when the status says all."""
    title: str
    status: int
    detail: str
    instance: str
    """Path of the request."""
    request_id: str = ""
    """The request's ``X-Request-Id``, which log lines about it bear, too."""
