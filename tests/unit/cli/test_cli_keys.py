"""The cluster key file from the command line."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from eagle_node.cli.main import main
from eagle_node.trust.key import ClusterKey, create_key_file, load_key_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a key file may be."""
    return tmp_path / "cluster.key"


def outcome(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of ``keys``."""
    code = main(["keys", *map(str, argv)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_generate_makes_a_private_file(capsys: pytest.CaptureFixture[str], path: Path) -> None:
    """The new file loads, and only its owner can read it; its key's id is told, not the key."""
    code, out, _ = outcome(capsys, "generate", path)
    key = load_key_file(path)
    assert code == 0
    assert out == f"{path}: new key {key.key_id()}; copy the file to every node\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_generate_replaces_nothing(capsys: pytest.CaptureFixture[str], path: Path) -> None:
    """Nodes out there may use the key that is there."""
    key = create_key_file(path)
    code, _, err = outcome(capsys, "generate", path)
    assert code == 2
    assert f"eagle-node keys list {path}" in err
    assert f"eagle-node keys add {path}" in err
    assert load_key_file(path) == key


def test_list_shows_ids_and_uses(capsys: pytest.CaptureFixture[str], path: Path) -> None:
    """One line for each key, the one in use first."""
    create_key_file(path)
    outcome(capsys, "add", path)
    one, two = load_key_file(path).ring()
    _, out, _ = outcome(capsys, "list", path)
    assert out == f"{one.key_id()}  in use\n{two.key_id()}  accepted\n"


def test_a_rotation(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Add, use, remove: in the end two nodes' files hold the new key and nothing else."""
    paths = tmp_path / "one", tmp_path / "two"
    old = create_key_file(paths[0])
    paths[1].write_text(paths[0].read_text())
    paths[1].chmod(0o640)
    outcome(capsys, "add", paths[0])
    new = load_key_file(paths[0]).ring()[1]
    assert outcome(capsys, "add", paths[1], "--from", paths[0])[0] == 0
    for path in paths:
        assert load_key_file(path) == ClusterKey(primary=old.primary, others=(new.primary,))
    for path in paths:
        outcome(capsys, "use", path, new.key_id())
        assert load_key_file(path) == ClusterKey(primary=new.primary, others=(old.primary,))
    for path in paths:
        outcome(capsys, "remove", path, old.key_id()[:4])
        assert load_key_file(path) == new
    assert stat.S_IMODE(paths[1].stat().st_mode) == 0o640
    assert sorted(tmp_path.iterdir()) == sorted(paths)


def test_the_key_in_use_is_not_removed(capsys: pytest.CaptureFixture[str], path: Path) -> None:
    """The error says what to do before."""
    key = create_key_file(path)
    code, _, err = outcome(capsys, "remove", path, key.key_id())
    assert code == 2
    assert f"is in use; have another one used first: eagle-node keys use {path} KEY" in err
    assert load_key_file(path) == key


@pytest.mark.parametrize("action", ["use", "remove"])
def test_an_unknown_key_is_told(
    capsys: pytest.CaptureFixture[str], path: Path, action: str
) -> None:
    """The error says how to see the keys."""
    create_key_file(path)
    code, _, err = outcome(capsys, action, path, "nothex")
    assert code == 2
    assert f"has no key 'nothex'; see them with: eagle-node keys list {path}" in err


def test_nothing_to_add_is_told(capsys: pytest.CaptureFixture[str], path: Path) -> None:
    """A file whose keys are all there adds nothing."""
    create_key_file(path)
    code, _, err = outcome(capsys, "add", path, "--from", path)
    assert code == 2
    assert "has all keys of" in err


@pytest.mark.parametrize("action", ["list", "add"])
def test_a_missing_file_is_told(
    capsys: pytest.CaptureFixture[str], path: Path, action: str
) -> None:
    """The error names the file."""
    code, _, err = outcome(capsys, action, path)
    assert code == 2
    assert f"cannot read {path}" in err


def test_the_help_tells_how_to_rotate(capsys: pytest.CaptureFixture[str]) -> None:
    """The steps are where an operator looks."""
    code, out, _ = outcome(capsys, "--help")
    assert code == 0
    assert "to change the key without an outage" in out
    assert "130  interrupted" in out


def test_every_action_tells_the_ring_to_scripts(
    capsys: pytest.CaptureFixture[str], path: Path
) -> None:
    """With --json the outcome is the file's keys by id, never a key."""
    assert outcome(capsys, "generate", path, "--json")[0] == 0
    code, out, _ = outcome(capsys, "add", path, "--json")
    ring = load_key_file(path).ring()
    assert code == 0
    assert json.loads(out) == {
        "file": str(path),
        "keys": [
            {"id": ring[0].key_id(), "state": "in use"},
            {"id": ring[1].key_id(), "state": "accepted"},
        ],
    }
