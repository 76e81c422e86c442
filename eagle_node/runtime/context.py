"""What a task works for: carried by the task's context, read by log lines and outgoing requests."""

from __future__ import annotations

from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Id of the client request under way; empty outside of one."""
