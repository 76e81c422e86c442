"""Nodes that cannot start: status 1 or 2, and one line that names the cause and the way out."""

from __future__ import annotations

import os
import socket
import sqlite3
import sys
from pathlib import Path

import pytest

from tests.support.node import ANY_PORT, eagle_node
from tests.support.origin import scripted_origin
from tests.support.process import CommandFailed, run
from tests.support.pulls import pull_blob

MIB = 1 << 20
COMMAND = [sys.executable, "-m", "eagle_node", "run"]
LISTENERS = ("--proxy-listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0")
NOBODY = 65534


async def _failure(data: Path, *flags: str, prefix: tuple[str, ...] = ()) -> str:
    """The last line that a node prints that does not start; it must end with status 1."""
    argv = [*prefix, *COMMAND, "--data-dir", str(data), "--advertise", "127.0.0.1"]
    with pytest.raises(CommandFailed, match="status 1") as caught:
        await run([*argv, *LISTENERS, *ANY_PORT, *flags], timeout=30)
    lines = str(caught.value).splitlines()
    assert not any("Traceback" in line for line in lines)
    assert lines[-1].startswith("eagle-node: ")
    return lines[-1]


@pytest.mark.parametrize(
    ("flag", "form"),
    [
        ("--proxy-listen", "127.0.0.1:{}"),
        ("--api-listen", "127.0.0.1:{}"),
        ("--swarm-port", "{}"),
        ("--metainfo-port", "{}"),
        ("--tracker-port", "{}"),
    ],
)
async def test_a_port_in_use(tmp_path: Path, flag: str, form: str) -> None:
    """The line names the port and the flag that chooses another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = await _failure(tmp_path, flag, form.format(port))
    assert str(port) in said
    assert flag in said


@pytest.mark.parametrize(
    "name", ["cache/index.sqlite", "manifests.sqlite", "rights.sqlite", "tracker.sqlite"]
)
@pytest.mark.parametrize("newer", [True, False], ids=["newer", "damaged"])
async def test_a_database_that_cannot_be_used(tmp_path: Path, name: str, newer: bool) -> None:
    """A newer version's file is left as it is, a damaged one too; the line names the file."""
    async with eagle_node(tmp_path) as node:
        await node.terminate()
    path = tmp_path / "data" / name
    if newer:
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 9999")
        connection.close()
    else:
        path.write_bytes(b"this is no database" * 1000)
    before = path.read_bytes()
    said = await _failure(tmp_path / "data")
    assert str(path) in said
    assert "--data-dir" in said
    assert ("newer eagle-node" in said) is newer
    assert path.read_bytes() == before


async def test_a_database_that_was_removed_is_made_again(tmp_path: Path) -> None:
    """The files on disk say what is whole: without the index, the cache is still there."""
    async with scripted_origin() as origin:
        digest = origin.add_random(3 * MIB)
        async with eagle_node(tmp_path, *origin.flags) as node:
            await pull_blob(node, digest)
            await node.terminate()
            for path in (tmp_path / "data" / "cache").glob("index.sqlite*"):
                path.unlink()
            await node.start()
            await pull_blob(node, digest)
        assert len(origin.gets(digest)) == 1


async def test_a_data_directory_that_cannot_be_used(tmp_path: Path) -> None:
    """A file in its place, and a directory without rights for this user."""
    file = tmp_path / "file"
    file.touch()
    assert "--data-dir" in await _failure(file)
    if os.getuid() == 0:
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o700)
        other = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--")
        said = await _failure(closed, prefix=other)
        assert "ermission denied" in said
        assert "--data-dir" in said


async def test_a_damaged_node_id(tmp_path: Path) -> None:
    """The line says which file to remove."""
    (tmp_path / "node-id").write_text("not an id\n")
    assert "node-id" in await _failure(tmp_path)


@pytest.mark.parametrize(
    ("flags", "culprit"),
    [
        (("--registry", "origin.test"), "--registry"),
        (("--registry", "origin.test=ftp://x"), "ftp://x"),
        (("--cache-size", "many"), "--cache-size"),
        (("--rule", "("), "--rule"),
        (("--role", "proxy,peer"), "--seeder"),
        (("--cluster-key-file", "/nowhere/key"), "--cluster-key-file"),
        (("--metainfo-port", "99999"), "--metainfo-port"),
        (("--seedr", "x"), "--seedr"),
    ],
)
async def test_flags_that_make_no_sense(
    tmp_path: Path, flags: tuple[str, ...], culprit: str
) -> None:
    """Status 2, and the culprit is named."""
    argv = [*COMMAND, "--data-dir", str(tmp_path), *LISTENERS, *ANY_PORT, *flags]
    with pytest.raises(CommandFailed, match="status 2") as caught:
        await run(argv, timeout=30)
    assert culprit in str(caught.value).splitlines()[-1]
    assert "Traceback" not in str(caught.value)
