"""The key file of a running node."""

from __future__ import annotations

import asyncio
import itertools
import logging
from pathlib import Path

import pytest

from eagle_node.base.errors import UsageError
from eagle_node.trust.authority import authority_of
from eagle_node.trust.certificates import node_identity
from eagle_node.trust.key import ClusterKey, create_key_file, new_key, replace_key_file
from eagle_node.trust.keyfile import KeyFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A key file."""
    create_key_file(tmp_path / "cluster.key")
    return tmp_path / "cluster.key"


def _spoil(path: Path) -> None:
    path.write_text("no key\n")


async def test_a_changed_file_is_followed(path: Path) -> None:
    """New keys are told once, to everybody who asked."""
    file = KeyFile(path)
    told: list[ClusterKey] = []
    file.on_change.append(told.append)
    await file.look()
    assert told == []
    ring = ClusterKey(primary=new_key().primary, others=(file.keys.primary,))
    replace_key_file(path, ring)
    await file.look()
    await file.look()
    assert told == [ring]
    assert file.keys == ring


async def test_following_goes_on_by_itself(path: Path) -> None:
    """A change is seen without anybody asking."""
    file = KeyFile(path, look_s=0.01)
    changed = asyncio.get_running_loop().create_future()
    file.on_change.append(changed.set_result)
    following = asyncio.ensure_future(file.follow())
    replace_key_file(path, new_key())
    async with asyncio.timeout(60):
        assert await changed == file.keys
    following.cancel()


async def test_a_broken_file_changes_nothing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The last good keys stay; the log says so once, and once when the file is in order again."""
    caplog.set_level(logging.INFO)
    file = KeyFile(path)
    keys = file.keys
    _spoil(path)
    await file.look()
    await file.look()
    assert file.keys == keys
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    replace_key_file(path, keys)
    await file.look()
    assert caplog.records[-1].getMessage().endswith("is in order again")
    assert keys.primary.hex() not in caplog.text


def test_a_node_does_not_start_without_its_keys(tmp_path: Path) -> None:
    """A file that is not there at the start is an error, not a node without a key."""
    with pytest.raises(UsageError):
        KeyFile(tmp_path / "missing")


def test_each_step_of_a_rotation_keeps_trust(path: Path) -> None:
    """At any two neighbouring steps, either side's certificate is signed by a CA the other has."""
    old, new = KeyFile(path).keys, new_key()
    steps = [
        old,
        ClusterKey(primary=old.primary, others=(new.primary,)),
        ClusterKey(primary=new.primary, others=(old.primary,)),
        new,
    ]
    identities = [node_identity(step) for step in steps]
    for before, after in itertools.pairwise(identities):
        assert before.root in after.trusted
        assert after.root in before.trusted
    assert identities[0].root == authority_of(old).pem
    assert identities[3].trusted == authority_of(new).pem
