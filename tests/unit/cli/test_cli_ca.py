"""The local CA from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from eagle_node.cli.main import main
from eagle_node.trust.local_ca import FILE_NAME, is_trusted, load


def outcome(
    capsys: pytest.CaptureFixture[str], directory: Path, *argv: str
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of ``ca``."""
    code = main(["ca", *argv, "--data-dir", str(directory)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_init_makes_a_ca_for_the_intercept_list(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Each name and address on it, and says what comes next."""
    code, out, _ = outcome(
        capsys,
        tmp_path,
        *("init", "--intercept", "ghcr.io", "--intercept", "*.example.com:5000"),
        *("--intercept", "10.0.0.5:5000"),
    )
    made = load(tmp_path / FILE_NAME)
    assert code == 0
    assert made is not None
    assert made.hosts == ["example.com", "ghcr.io", "10.0.0.5"]
    assert made.fingerprint in out
    assert f"eagle-node ca trust --data-dir {tmp_path}" in out


def test_init_takes_the_registries_of_the_configuration(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Their names, and the hosts that they are reached at by HTTPS."""
    config = tmp_path / "node.toml"
    config.write_text('[[registry]]\nname = "a.test"\nurl = "https://b.test:5000"\n')
    outcome(capsys, tmp_path, "init", "--config", str(config))
    made = load(tmp_path / FILE_NAME)
    assert made is not None
    assert made.hosts == ["a.test", "b.test"]


def test_init_replaces_nothing_unasked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Programs trust the one that is there."""
    outcome(capsys, tmp_path, "init", "--intercept", "ghcr.io")
    before = (tmp_path / FILE_NAME).read_bytes()
    code, _, err = outcome(capsys, tmp_path, "init", "--intercept", "quay.io")
    assert (code, (tmp_path / FILE_NAME).read_bytes()) == (2, before)
    assert "--replace" in err
    code, _, _ = outcome(capsys, tmp_path, "init", "--intercept", "quay.io", "--replace")
    made = load(tmp_path / FILE_NAME)
    assert code == 0
    assert made is not None
    assert made.hosts == ["quay.io"]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("init",), "--intercept HOST"),
        (("init", "--intercept", "*"), "is no host to open"),
        (("show",), "eagle-node ca init"),
        (("trust", "--intercept", "ghcr.io"), "eagle-node ca init"),
    ],
)
def test_what_is_missing_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, argv: tuple[str, ...], said: str
) -> None:
    """With the way out, and nothing is made."""
    code, _, err = outcome(capsys, tmp_path, *argv)
    assert code == 2
    assert said in err
    assert list(tmp_path.iterdir()) == []


def test_an_unconstrained_ca_must_be_asked_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """And says so when it is shown."""
    outcome(capsys, tmp_path, "init", "--unconstrained")
    _, out, _ = outcome(capsys, tmp_path, "show")
    assert "any host" in out


def test_show_prints_a_certificate_and_no_key(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Fit to be redirected into a file: PEM readers skip the lines above."""
    outcome(capsys, tmp_path, "init", "--intercept", "ghcr.io")
    _, out, _ = outcome(capsys, tmp_path, "show")
    made = load(tmp_path / FILE_NAME)
    assert made is not None
    assert x509.load_pem_x509_certificate(out.encode()) == made.certificate
    assert made.fingerprint in out
    assert f"{made.expires:%Y-%m-%d}" in out
    assert "PRIVATE" not in out


def test_trust_by_hand_installs_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The node is told that others have done it; removing tells it the opposite."""
    outcome(capsys, tmp_path, "init", "--intercept", "ghcr.io")
    made = load(tmp_path / FILE_NAME)
    assert made is not None
    assert not is_trusted(made, tmp_path / FILE_NAME)
    code, out, _ = outcome(capsys, tmp_path, "trust", "--by-hand")
    assert code == 0
    assert "wrote" not in out
    assert is_trusted(made, tmp_path / FILE_NAME)
    outcome(capsys, tmp_path, "trust", "--remove")
    assert not is_trusted(made, tmp_path / FILE_NAME)


def test_removing_what_was_never_installed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Changes nothing, and says so."""
    code, out, _ = outcome(capsys, tmp_path, "trust", "--remove")
    assert (code, out) == (0, "nothing was installed\n")
