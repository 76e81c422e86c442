"""The order of tests, and what Hypothesis makes of a busy machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")  # how long an example takes says how busy the machine is

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
