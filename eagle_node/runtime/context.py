"""What a request carries through every part that works for it."""

from __future__ import annotations

from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Identifier of the client request being served, from proxy to seeder to origin; empty: none."""
