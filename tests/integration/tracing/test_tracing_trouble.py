"""Pulls while the collector is in trouble, and nodes that cannot trace."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from tests.support.collector import collector
from tests.support.node import Node, eagle_node
from tests.support.origin import scripted_origin
from tests.support.pulls import pull_blob
from tests.support.waiting import until

MIB = 1 << 20
PROGRAM = (
    *("env", "OTEL_BSP_SCHEDULE_DELAY=50", "OTEL_EXPORTER_OTLP_TIMEOUT=0.5"),
    *("OTEL_EXPORTER_OTLP_HEADERS=x-tenant=blue", sys.executable, "-m", "eagle_node"),
)
BARE = "import sys; sys.modules['opentelemetry'] = None; from eagle_node.cli.main import main; "
"""As where the extra is not installed."""


async def logged(node: Node, text: str) -> None:
    """Wait until the node's log holds ``text``."""

    async def found() -> bool:
        return text in node.log()

    await until(found, what=f"{text!r} in the log", timeout=60.0)


async def test_a_dead_collector_costs_one_line(tmp_path: Path, unused_tcp_port: int) -> None:
    """Pulls go on, the log says once what is wrong, and once that it is over."""
    endpoint = f"http://127.0.0.1:{unused_tcp_port}"
    async with (
        scripted_origin() as origin,
        eagle_node(tmp_path, *origin.flags, "--otlp-endpoint", endpoint, program=PROGRAM) as node,
    ):
        broken = f"the trace collector at {endpoint} takes no spans: it cannot be reached"
        await pull_blob(node, origin.add_random(MIB))
        await logged(node, broken)
        for seed in range(1, 4):
            await pull_blob(node, origin.add_random(MIB, seed=seed))
        async with collector(unused_tcp_port) as traces:
            await pull_blob(node, origin.add_random(MIB, seed=4))
            await traces.wait("client request")
            await logged(node, "takes spans again")
            assert traces.headers[0]["x-tenant"] == "blue"
        assert node.log().count("takes no spans") == 1
        assert "Traceback" not in node.log()
        assert await node.terminate() == 0


async def test_a_silent_collector_holds_up_nobody(tmp_path: Path) -> None:
    """One that accepts connections and never answers: pulls go on, and the node stops."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with (
        server,
        scripted_origin() as origin,
        eagle_node(tmp_path, *origin.flags, "--otlp-endpoint", endpoint, program=PROGRAM) as node,
    ):
        await pull_blob(node, origin.add_random(MIB))
        await logged(node, "it does not answer in time")
        await pull_blob(node, origin.add_random(MIB, seed=1))
        assert await node.terminate() == 0


def test_a_node_without_the_extra_says_what_to_install(tmp_path: Path) -> None:
    """Whether the flag or OpenTelemetry's own variable asks for traces; and runs without them."""
    argv = ["run", "--data-dir", str(tmp_path)]
    variable = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    for flags, environment in (
        (["--otlp-endpoint", "http://127.0.0.1:4318"], {}),
        ([], variable),
    ):
        done = subprocess.run(
            [sys.executable, "-c", f"{BARE} sys.exit(main({[*argv, *flags]!r}))"],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert "pip install 'eagle-node[otel]'" in done.stderr
        assert "--otlp-endpoint (OTEL_EXPORTER_OTLP_ENDPOINT)" in done.stderr


async def test_who_asks_for_no_traces_needs_nothing(tmp_path: Path) -> None:
    """A node without OpenTelemetry starts and serves."""
    program = (sys.executable, "-c", f"{BARE} sys.exit(main(sys.argv[1:]))")
    async with (
        scripted_origin() as origin,
        eagle_node(tmp_path, *origin.flags, program=program) as node,
    ):
        await pull_blob(node, origin.add_random(MIB))
