"""The cluster key file."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest

from eagle_node.base.errors import UsageError
from eagle_node.trust.key import ClusterKey, create_key_file, load_key_file, parse_keys

KEY = bytes(range(32))
OTHER = bytes(range(32, 64))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a key file may be."""
    return tmp_path / "cluster.key"


def _write(path: Path, text: str, mode: int = 0o600) -> None:
    path.write_text(text)
    path.chmod(mode)


def test_a_new_file_is_private_and_loads(path: Path) -> None:
    """What was created is what is loaded, and only its owner can read it."""
    key = create_key_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_key_file(path) == key
    assert len(key.primary) == 32


def test_new_keys_differ(tmp_path: Path) -> None:
    """Each file gets a key of its own."""
    assert create_key_file(tmp_path / "1") != create_key_file(tmp_path / "2")


def test_a_key_file_is_never_overwritten(path: Path) -> None:
    """Creating it again is refused: nodes out there may use the old one."""
    key = create_key_file(path)
    with pytest.raises(UsageError, match=r"cluster\.key is there already.*keys list"):
        create_key_file(path)
    assert load_key_file(path) == key


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o606, 0o644, 0o777])
def test_a_file_open_to_everybody_is_refused(path: Path, mode: int) -> None:
    """The error gives the command that mends it."""
    _write(path, KEY.hex(), mode)
    with pytest.raises(UsageError, match=r"open to every user; run: chmod 600 /"):
        load_key_file(path)


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o440, 0o640])
def test_owner_and_group_may_read(path: Path, mode: int) -> None:
    """Secret mounts of orchestrators are readable by a group."""
    _write(path, KEY.hex(), mode)
    assert load_key_file(path) == ClusterKey(primary=KEY)


def test_a_missing_file_is_named(path: Path) -> None:
    """The error names file and flag."""
    with pytest.raises(UsageError, match=r"cluster\.key \(--cluster-key-file\): No such file"):
        load_key_file(path)


def test_a_directory_is_no_key_file(tmp_path: Path) -> None:
    """The error names file and flag."""
    with pytest.raises(UsageError, match=r"\(--cluster-key-file\): Is a directory"):
        load_key_file(tmp_path)


def test_binary_files_are_refused(path: Path) -> None:
    """Raw bytes are not the text form, however many there are."""
    path.write_bytes(bytes(range(128, 160)))
    path.chmod(0o600)
    with pytest.raises(UsageError, match="line 1: neither base64 nor hex"):
        load_key_file(path)
    path.write_bytes(bytes(70_000))
    with pytest.raises(UsageError, match="too long to be a key file"):
        load_key_file(path)


@pytest.mark.parametrize(
    "text",
    [
        KEY.hex(),
        KEY.hex().upper() + "\r\n",
        base64.b64encode(KEY).decode(),
        f"# made in spring\n\n  {base64.b64encode(KEY).decode()}  \n",
        f"{KEY.hex()}\n{base64.b64encode(KEY).decode()}\n",
    ],
    ids=["hex", "upper", "base64", "comments", "twice"],
)
def test_forms_of_one_key(text: str) -> None:
    """Base64 or hex, with comments and spaces around it; a repeated key counts once."""
    assert parse_keys(text, source="file") == ClusterKey(primary=KEY)


def test_further_lines_are_accepted_keys() -> None:
    """The first line is in use, the others are the ring's."""
    ring = parse_keys(f"{KEY.hex()}\n{OTHER.hex()}\n", source="file")
    assert ring == ClusterKey(primary=KEY, others=(OTHER,))
    assert ring.ring() == [ClusterKey(primary=KEY), ClusterKey(primary=OTHER)]
    assert ring.derive_all("use") == tuple(each.derive("use") for each in ring.ring())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", r"file holds no key; make one with: openssl rand -base64 32"),
        ("# only a comment\n", r"holds no key"),
        ("hunter2", r"file, line 1: neither base64 nor hex"),
        (f"{KEY.hex()}\npassword!\n", r"file, line 2: neither base64 nor hex"),
        (KEY[:30].hex(), r"line 1: too long; a key has 32 bytes"),
        (base64.b64encode(KEY[:16]).decode(), r"too short; a key has 32 bytes, this has 16"),
        (base64.b64encode(KEY + KEY).decode(), r"too long; a key has 32 bytes, this has 64"),
    ],
)
def test_malformed_keys_are_refused(text: str, says: str) -> None:
    """The error names the line."""
    with pytest.raises(UsageError, match=says):
        parse_keys(text, source="file")


def test_errors_do_not_tell_the_key() -> None:
    """A key with a typing error does not end up in a log."""
    with pytest.raises(UsageError) as raised:
        parse_keys(KEY.hex()[:-1] + "x", source="file")
    assert KEY.hex()[:8] not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_key_does_not_show() -> None:
    """The text of a ring holds no secret."""
    text = repr(ClusterKey(primary=KEY, others=(OTHER,)))
    assert text == "ClusterKey()"


def test_derivation_is_a_wire_constant() -> None:
    """Releases that derive otherwise could not talk to each other, so the values are pinned."""
    key = ClusterKey(primary=KEY)
    assert key.derive("gossip").hex() == (
        "784b5226d100fc9f062c5e0f8ae283555e925548f75490a9075f463cfed0338b"
    )
    assert key.derive("gossip", 16) == key.derive("gossip")[:16]
