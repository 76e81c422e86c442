"""The order of tests: quick ones first, but for tests that run side by side."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ORDER = ("unit", "property", "sim", "tui", "integration")
"""Directories of tests, from instant to slow."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by directory, keeping pytest's order within each.

    A broken unit should not wait for containers. Side by side the slow ones begin, so that at the
    end no worker is left alone with one of them.
    """
    root = Path(__file__).parent
    side_by_side = "PYTEST_XDIST_WORKER" in os.environ
    items.sort(key=lambda item: _rank(item.path.relative_to(root).parts[0]), reverse=side_by_side)


def _rank(directory: str) -> int:
    return ORDER.index(directory) if directory in ORDER else len(ORDER)
