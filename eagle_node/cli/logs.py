"""Log lines on standard error: one line per event, UTC, as text or as JSON."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from eagle_node.config.tree import LogConfig
from eagle_node.runtime.context import request_id

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
_CONTROL |= {ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t", 0x2028: "\\u2028"}
"""Control characters and what stands for them: what others send cannot forge lines."""

_NOISY = ("aiohttp.access", "asyncio", "grpc", "pyroute2", "zeroconf")
"""Libraries whose lines below a warning tell nothing of ours."""


def configure_logging(config: LogConfig) -> None:
    """Send every logger's lines to standard error in the configured format."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if config.format == "json" else TextLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(config.level.upper())
    logging.getLogger("aiohttp.server").addFilter(_shorten_clients_faults)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)


def _shorten_clients_faults(record: logging.LogRecord) -> bool:
    """Make one line, at level info, of what aiohttp tells with a traceback: no HTTP, or gone."""
    from aiohttp.http_exceptions import HttpProcessingError

    error = record.exc_info[1] if record.exc_info else None
    if not isinstance(error, HttpProcessingError | ConnectionError):
        return True
    record.msg, record.args = "%s: %s", (record.getMessage(), " ".join(str(error).split())[:200])
    record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
    record.exc_info = None
    return logging.getLogger().isEnabledFor(logging.INFO)


class TextLines(logging.Formatter):
    """``time LEVEL logger [request] message``; an exception follows with its newlines escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of ``record``."""
        request = request_id.get()
        name = record.name.removeprefix("eagle_node.")
        parts = [_time(record), f"{record.levelname:<7}", name]
        if request:
            parts.append(f"[{request}]")
        parts.append(record.getMessage())
        if (exception := _exception(self, record)) is not None:
            parts.append(exception)
        return " ".join(parts).translate(_CONTROL)


class JsonLines(logging.Formatter):
    """An object with ``time``, ``level``, ``logger``, ``message``, ``request``, ``exception``."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of ``record``."""
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request := request_id.get():
            line["request"] = request
        if (exception := _exception(self, record)) is not None:
            line["exception"] = exception
        return json.dumps(line)


def _time(record: logging.LogRecord) -> str:
    """RFC 3339 in UTC, with milliseconds."""
    stamp = datetime.fromtimestamp(record.created, UTC)
    return stamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _exception(formatter: logging.Formatter, record: logging.LogRecord) -> str | None:
    if record.exc_info and record.exc_info[0] is not None:
        return formatter.formatException(record.exc_info)
    return None
