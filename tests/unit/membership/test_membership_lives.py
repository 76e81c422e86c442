"""The count of a node's starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from eagle_node.base.errors import StartError
from eagle_node.membership.lives import LIFE_SHIFT, begin_life


def test_each_start_outranks_all_earlier_ones(tmp_path: Path) -> None:
    """Whatever a life has refuted and described, the next one begins above it."""
    lives = [begin_life(tmp_path / "lives") for _ in range(3)]
    assert lives == [1 << LIFE_SHIFT, 2 << LIFE_SHIFT, 3 << LIFE_SHIFT]


@pytest.mark.parametrize("text", ["", "x", "-1", "\xff", "9" * 4000])
def test_a_damaged_count_begins_anew(tmp_path: Path, text: str) -> None:
    """The node starts all the same: it hears what was said of it, and refutes."""
    path = tmp_path / "lives"
    path.write_bytes(text.encode("latin-1"))
    assert begin_life(path) == 1 << LIFE_SHIFT


def test_a_count_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    """The error names the file."""
    with pytest.raises(StartError, match=r"cannot write .*missing/lives"):
        begin_life(tmp_path / "missing" / "lives")
