"""The secret that the control API asks for."""

from __future__ import annotations

from pathlib import Path

from eagle_node.base.errors import UsageError


def read_token(path: Path) -> str:
    """The token in a file; `UsageError` when there is none."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the API token in {path}: {error}") from error
    if not token or not token.isprintable() or " " in token:
        raise UsageError(f"{path} holds no API token: one line of printable characters")
    return token
