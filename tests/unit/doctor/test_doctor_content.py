"""containerd's content store, as doctor sees it."""

from __future__ import annotations

from pathlib import Path

from eagle_node.base.findings import Level
from eagle_node.config.tree import Config, LendingConfig, StoreChoice
from eagle_node.doctor.content import check_content
from eagle_node.mirror.content_store import STORE


def test_a_store_that_can_be_read_is_counted(tmp_path: Path) -> None:
    """By what lies in it, not by what was verified: the node is not running."""
    blobs = tmp_path / STORE / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    (blobs / ("0" * 64)).write_bytes(bytes(1 << 20))
    config = Config(lending=LendingConfig(store=StoreChoice(path=tmp_path)))
    (finding,) = check_content(config, None)
    assert finding.level is Level.OK
    assert "1 blobs, 1.0 MiB" in finding.text


def test_a_store_that_is_not_there_comes_with_the_way_out(tmp_path: Path) -> None:
    """Nothing is said where nobody wants blobs from there."""
    config = Config(lending=LendingConfig(store=StoreChoice(path=tmp_path / "none")))
    (finding,) = check_content(config, None)
    assert finding.level is Level.WARNING
    assert "none is not there" in finding.text
    assert "--containerd-content" in finding.remedy
    assert check_content(Config(), None) == []
