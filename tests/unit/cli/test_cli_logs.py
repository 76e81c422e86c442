"""Log lines."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable

import pytest

from eagle_node.cli.logs import JsonLines, TextLines
from eagle_node.runtime.context import request_id


def record(message: str, *args: object, failed: bool = False) -> logging.LogRecord:
    """A record of 2026-01-02 03:04:05.678 UTC."""
    made = logging.LogRecord(
        "eagle_node.proxy.server", logging.WARNING, "server.py", 1, message, args, None
    )
    made.created = 1767323045.678
    if failed:
        try:
            raise KeyError("digest")
        except KeyError:
            made.exc_info = sys.exc_info()
    return made


def test_text_is_time_level_logger_message() -> None:
    """A line of text starts with RFC 3339 time in UTC."""
    assert TextLines().format(record("sent %d bytes", 7)) == (
        "2026-01-02T03:04:05.678Z WARNING proxy.server sent 7 bytes"
    )


def test_json_is_one_object() -> None:
    """A line of JSON holds the same facts under fixed keys."""
    assert json.loads(JsonLines().format(record("sent %d bytes", 7))) == {
        "time": "2026-01-02T03:04:05.678Z",
        "level": "warning",
        "logger": "eagle_node.proxy.server",
        "message": "sent 7 bytes",
    }


def test_the_request_id_comes_along() -> None:
    """Lines written while a client is served carry its request's id."""
    token = request_id.set("ab12")
    try:
        assert " proxy.server [ab12] sent" in TextLines().format(record("sent"))
        assert json.loads(JsonLines().format(record("sent")))["request"] == "ab12"
    finally:
        request_id.reset(token)


@pytest.mark.parametrize("formatter", [TextLines, JsonLines])
def test_an_event_is_one_line(formatter: Callable[[], logging.Formatter]) -> None:
    """Neither a traceback nor what a client sent can break or forge lines."""
    line = formatter().format(record("name %s", "a\nb\x1b[31m\u2028c", failed=True))
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line
    assert "KeyError: 'digest'" in line
