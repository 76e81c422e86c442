"""``eagle-node mirror`` as its users type it, below a root of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eagle_node.cli.main import main

DAEMON = "etc/docker/daemon.json"


def outcome(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of ``eagle-node mirror``."""
    code = main(["mirror", *argv])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_dry_run_is_a_diff(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What would change is shown, and nothing does."""
    argv = ("install", "--dry-run", "--root", str(tmp_path), "--runtime", "docker")
    code, out, _ = outcome(capsys, *argv)
    assert code == 0
    assert '+  "registry-mirrors": ["http://127.0.0.1:43002"]' in out
    assert "would be made" in out
    assert list(tmp_path.iterdir()) == []


def test_install_show_uninstall(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Each step tells what it did and what the runtimes still want."""
    (tmp_path / "etc/docker").mkdir(parents=True)
    (tmp_path / DAEMON).write_text("{}")
    root = ("--root", str(tmp_path), "--runtime", "containerd,docker", "--runtime", "crio")
    _, out, _ = outcome(capsys, "install", *root)
    assert "/etc/docker/daemon.json: changed; what was there is in /etc/eagle-node/mirror/" in out
    assert "containerd reads this once you run: systemctl restart containerd" in out
    assert "crio reads this once you run: systemctl reload crio" in out
    _, out, _ = outcome(capsys, "install", *root)
    assert "all in place already" in out
    _, out, _ = outcome(capsys, "show", *root)
    assert "all other registries   (/etc/containerd/certs.d/_default/hosts.toml)" in out
    _, out, _ = outcome(capsys, "uninstall", *root)
    assert "/etc/docker/daemon.json: as it was before" in out
    assert (tmp_path / DAEMON).read_text() == "{}"
    _, out, _ = outcome(capsys, "uninstall", *root)
    assert "nothing of ours there" in out


def test_documents(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """With --json each action prints one document."""
    root = ("--json", "--root", str(tmp_path), "--runtime", "podman")
    installed = json.loads(outcome(capsys, "install", "--registry", "ghcr.io", *root)[1])
    path = "/etc/containers/registries.conf.d/eagle-node.conf"
    assert installed["changes"] == [{"path": path, "runtime": "podman", "change": "made"}]
    shown = json.loads(outcome(capsys, "show", *root)[1])
    assert shown == {
        "runtimes": [{"runtime": "podman", "files": [path], "registries": {"ghcr.io": path}}]
    }


@pytest.mark.parametrize(
    ("argv", "code", "told"),
    [
        (["install", "--runtime", "conatinerd"], 2, "did you mean containerd?"),
        (["install", "--runtime", "docker", "--registry", "a b"], 2, "--registry: 'a b' is not"),
        (["install", "--runtime", "docker", "--proxy", "x"], 2, "--proxy: 'x' is not a base URL"),
        (["install"], 2, "no container runtime is installed in"),
        (["instal"], 2, "'instal' is unknown; write one of install"),
        (["show", "--runtime", "docker", "--root", "/nonexistent"], 2, "is not a directory"),
    ],
)
def test_what_is_wrong_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, argv: list[str], code: int, told: str
) -> None:
    """Errors name the culprit and the way out."""
    root = [] if "--root" in argv else ["--root", str(tmp_path)]
    found, out, err = outcome(capsys, *argv, *root)
    assert (found, out, err.count("\n")) == (code, "", 1)
    assert told in err


def test_a_file_that_is_wrong_stays(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A malformed file is status 1, names itself, and is not touched."""
    (tmp_path / "etc/docker").mkdir(parents=True)
    (tmp_path / DAEMON).write_text("{oops")
    argv = ("install", "--root", str(tmp_path), "--runtime", "docker")
    code, _, err = outcome(capsys, *argv)
    assert code == 1
    assert "/etc/docker/daemon.json is not JSON" in err
    assert (tmp_path / DAEMON).read_text() == "{oops"
