"""Quick tests first: a broken unit should not wait for containers."""

from __future__ import annotations

from pathlib import Path

import pytest

ORDER = ("unit", "property", "sim", "tui", "integration")
"""Directories of tests, from instant to slow."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by directory, keeping pytest's order within each."""
    root = Path(__file__).parent
    items.sort(key=lambda item: _rank(item.path.relative_to(root).parts[0]))


def _rank(directory: str) -> int:
    return ORDER.index(directory) if directory in ORDER else len(ORDER)
