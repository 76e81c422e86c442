"""``eagle-node`` as its users start it: real processes, real signals."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import sys
from pathlib import Path

import pytest

from tests.support.node import eagle_node
from tests.support.process import CommandFailed, run, running
from tests.support.waiting import until
from tests.tui.fleet import Fleet
from tests.tui.stage import Server

COMMAND = [sys.executable, "-m", "eagle_node"]


async def test_sigterm_is_a_clean_end(tmp_path: Path) -> None:
    """A service manager's stop is status 0 and leaves no word of where the node listened."""
    async with eagle_node(tmp_path) as node:
        assert await node.terminate() == 0
        assert not (tmp_path / "data" / "ports.json").exists()
        assert "Traceback" not in node.log()


async def test_sigint_is_an_interruption(tmp_path: Path) -> None:
    """Ctrl-C stops the node as cleanly, with the shell's status for it."""
    async with eagle_node(tmp_path) as node:
        node.process.signal(signal.SIGINT)
        assert await node.process.wait() == 130
        assert "Traceback" not in node.log()


async def test_status_shows_the_node(tmp_path: Path) -> None:
    """``status`` finds the node by flag or variable, as a screen and as its document."""
    async with eagle_node(tmp_path, "--zone", "eu-1", "--name", "web-1") as node:
        shown = await run([*COMMAND, "status", "--api", node.api_url])
        printed = await run([*COMMAND, "status", "--json"], env={"EAGLE_NODE_API": node.api_url})
        status = await node.status()
    document = json.loads(printed.stdout)
    assert document["node"]["id"] == status["node"]["id"]
    assert document["node"]["roles"] == ["peer", "proxy", "seeder", "tracker"]
    assert f"({status['node']['id'][:12]})" in shown.stdout
    assert "web-1 at 127.0.0.1 in eu-1" in shown.stdout


async def test_a_node_that_cannot_start_says_why_in_one_line(tmp_path: Path) -> None:
    """A port in use and a data directory in use are status 1, one line each, naming the flag."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            CommandFailed, match=rf"status 1.*\neagle-node: .*:{port}.*--api-listen"
        ):
            async with eagle_node(tmp_path / "a", "--api-listen", f"127.0.0.1:{port}"):
                pass
    async with eagle_node(tmp_path / "b") as node:
        data = tmp_path / "b" / "data"
        again = [*COMMAND, "run", "--data-dir", str(data)]
        with pytest.raises(CommandFailed) as caught:
            await run(again)
        told = f"in use by process {node.process.pid}; stop it or choose another with --data-dir"
        assert str(caught.value).splitlines()[1:] == [
            f"eagle-node: data directory {data} is {told}"
        ]


async def test_json_logs_are_json_lines(tmp_path: Path) -> None:
    """With ``--log-format json`` every line on standard error is an object."""
    async with eagle_node(tmp_path, "--log-format", "json") as node:
        await node.terminate()
        lines = [json.loads(line) for line in node.log().splitlines()]
    assert lines
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)


async def test_the_demo_passes_its_own_verdict() -> None:
    """Three nodes pull an image at once, and the registry sends each blob once."""
    done = await run([*COMMAND, "demo", "--size", "8M"])
    assert "every digest is right" in done.stdout
    assert "the registry sent each blob once" in " ".join(done.stdout.split())


async def test_the_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    """Ctrl-C while nodes run stops them and removes their directory."""
    log = tmp_path / "demo.log"
    argv = [*COMMAND, "demo", "--size", "1M"]
    async with running(argv, log=log, env={"TMPDIR": str(tmp_path)}) as process:

        async def has_nodes() -> bool:
            return bool(node_pids(tmp_path))

        await until(has_nodes, what="the demo's first node")
        pids = node_pids(tmp_path)
        process.signal(signal.SIGINT)
        assert await process.wait() == 130
    assert os.listdir(tmp_path) == ["demo.log"]
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def node_pids(directory: Path) -> list[int]:
    """Processes that hold a data directory of a demo under ``directory``."""
    texts = [path.read_text() for path in directory.glob("*/node-*/data/lock")]
    return [int(text) for text in texts if text]


@pytest.mark.parametrize("arguments", [("version",), ("man",), ("status", "--json")])
async def test_a_full_disk_behind_standard_output_is_one_line(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """Output that cannot be written is a failure, and no traceback."""
    server = Server(Fleet())
    await server.start()
    try:
        command = shlex.join([sys.executable, "-m", "eagle_node", *arguments])
        with pytest.raises(CommandFailed, match="status 1") as caught:
            await run(["env", f"EAGLE_NODE_API={server.url}", "sh", "-c", f"{command} > /dev/full"])
    finally:
        await server.stop()
    assert "eagle-node: cannot write the output: No space left on device" in str(caught.value)
    assert "Traceback" not in str(caught.value)


async def test_a_watch_for_scripts_is_a_line_each_time(tmp_path: Path) -> None:
    """Each line is a document: the status, or why there is none just then."""
    server = Server(Fleet())
    await server.start()
    log = tmp_path / "watch.log"

    def documents() -> list[dict[str, object]]:
        whole = log.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    async def several() -> bool:
        return len(documents()) >= 2

    async def alone() -> bool:
        return "error" in documents()[-1]

    try:
        argv = [*COMMAND, "status", "--watch", "0.1", "--json", "--api", server.url]
        async with running(argv, log=log, ready=several) as process:
            assert all("node" in document for document in documents())
            await server.stop()
            await until(alone, what="the line that tells of the failure")
            process.signal(signal.SIGINT)
            assert await process.wait() == 130
    finally:
        await server.stop()
