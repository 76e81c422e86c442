"""Rules of `Memory`: a file that nobody fails for."""

from __future__ import annotations

import logging

import pytest

from eagle_node.base.errors import Unavailable
from eagle_node.store.memory import Memory


async def _fails() -> int:
    raise Unavailable("the disk is read-only")


async def _works() -> int:
    return 7


async def test_trouble_is_told_when_it_begins_and_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not with each use; what cannot be read is not found."""
    memory = Memory("manifests")
    with caplog.at_level(logging.INFO, "eagle_node.store"):
        found = [await memory.attempt(use()) for use in (_works, _fails, _fails, _works, _works)]
    assert found == [7, None, None, 7, 7]
    assert caplog.messages == [
        "cannot remember manifests: the disk is read-only",
        "remembering manifests again",
    ]
