"""What a request carries through every part that works for it."""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar

REQUEST_ID_HEADER = "X-Request-Id"
_FORM = re.compile(r"[A-Za-z0-9._:@/+=-]{1,64}\Z")

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Identifier of the client request being served, from proxy to seeder to origin; empty: none."""


def accepted_id(text: str) -> str:
    """``text`` if it can be an identifier, for logs and headers alike; else a new one."""
    return text if _FORM.match(text) else secrets.token_hex(8)
