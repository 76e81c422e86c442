"""The command line without a node."""

from __future__ import annotations

from pathlib import Path

import pytest

from eagle_node import __version__
from eagle_node.cli.main import main
from eagle_node.config.options import OPTIONS


def outcome(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    code = main(argv)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """The version is one line for people and scripts."""
    assert outcome(capsys, "version") == (0, f"eagle-node {__version__}\n", "")


@pytest.mark.parametrize("command", [[], ["run"], ["status"], ["demo"], ["version"]])
def test_help_tells_the_exit_codes(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    """Each help text is complete in itself and a success."""
    code, out, _ = outcome(capsys, *command, "--help")
    assert code == 0
    assert out.startswith("usage: eagle-node")
    assert "130  interrupted" in out


def test_help_of_run_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    """What can be configured can be read about."""
    _, out, _ = outcome(capsys, "run", "--help")
    assert [option.flag for option in OPTIONS.values() if f"  {option.flag} " not in out] == []
    assert "EAGLE_NODE_UPLOAD_LIMIT=50MB" in out


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ([], "the following arguments are required: COMMAND; see eagle-node --help"),
        (["rn"], "'rn' is unknown; did you mean run?"),
        (
            ["run", "--upload-limt=5"],
            "--upload-limt=5; did you mean --upload-limit?; see eagle-node run",
        ),
        (["run", "--upload-limit"], "expected one argument"),
        (["run", "extra"], "unknown argument extra"),
        (["run", "--upload-limit", "5Q"], "--upload-limit: '5Q' is not a size; write it like"),
        (["run", "--config", "/nonexistent.toml"], "cannot read configuration file /nonexistent"),
        (["demo", "--nodes", "0"], "write 1 to 50"),
        (["demo", "--size", "1K"], "write 1M to 4G"),
        (["demo", "--size", "big"], "is not a size"),
    ],
)
def test_wrong_arguments_are_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str], argv: list[str], told: str
) -> None:
    """A usage error is told in one line on standard error, with the way out."""
    code, out, err = outcome(capsys, *argv)
    assert (code, out) == (2, "")
    assert err.startswith("eagle-node: ")
    assert err.count("\n") == 1
    assert told in err


def test_a_wrong_file_is_status_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """An unknown key stops the node before it does anything."""
    file = tmp_path / "node.toml"
    file.write_text('rack = "7"\nzoone = "eu"\n')
    code, _, err = outcome(capsys, "run", "--config", str(file))
    assert code == 2
    assert err == f"eagle-node: {file}:2: zoone: unknown key; did you mean zone?\n"


def test_no_node_to_ask_is_status_1(
    capsys: pytest.CaptureFixture[str], unused_tcp_port: int
) -> None:
    """``status`` of a host without a node fails and names the address."""
    url = f"http://127.0.0.1:{unused_tcp_port}"
    code, out, err = outcome(capsys, "status", "--api", url)
    assert (code, out) == (1, "")
    assert err.startswith(f"eagle-node: no node answers at {url}: ")
    assert err.endswith("; start one with eagle-node run, or name another with --api\n")
