"""A cached blob from our proxy against docker-registry serving the same blob.

    python -m tests.bench.hit --size 256 --rounds 5

Rounds alternate between the two, with one client and with eight, each a process that costs next to
nothing. The ratio is the worst over the numbers of clients: registry's throughput to ours.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench import interrupts
from tests.bench.report import Limit, Report, cpu_seconds, emit, parser
from tests.support import http
from tests.support.images import files_image, push
from tests.support.node import eagle_node
from tests.support.process import command_in
from tests.support.registry import docker_registry

MIB = 1 << 20
CLIENTS = (1, 8)
OURS, THEIRS = "eagle-node", "docker-registry"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Something that serves the blob."""

    url: str
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One round: all clients fetched the blob."""

    bytes: int
    seconds: float
    """From the first request to the last byte."""
    cpu_s: float
    """Of the server's process."""


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--size", type=int, default=256, help="MiB of the blob")
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    size, samples = interrupts.run(_measure(options.size * MIB, options.rounds))
    report = _report(size, options.rounds, samples)
    rows = [
        [
            *(str(clients), name),
            f"{_throughput(each) / MIB:.0f}",
            f"{_cpu_per_gb(each):.2f}",
        ]
        for (clients, name), each in samples.items()
    ]
    columns = ["clients", "server", "MiB/s", "CPU s/GB"]
    emit(report, columns, rows, only_json=options.json)


async def _measure(size: int, rounds: int) -> tuple[int, dict[tuple[int, str], list[Sample]]]:
    """The blob's size, and the samples by number of clients and server."""
    with tempfile.TemporaryDirectory(prefix="eagle-hit-") as name:
        directory = Path(name)
        image = files_image(directory / "image", [size], compression=0)
        blob = image.layers[0]
        async with docker_registry(directory / "registry") as registry:
            await push(image, registry, "library/app")
            path = f"/v2/library/app/blobs/{blob.digest}"
            flags = ["--registry", f"docker.io={registry.url}"]
            async with eagle_node(directory / "node", *flags) as node:
                servers = {
                    THEIRS: Server(url=registry.url + path, pid=registry.process.pid),
                    OURS: Server(url=node.proxy_url + path, pid=node.process.pid),
                }
                for server in servers.values():
                    await http.download(server.url, digest=blob.digest)
                return blob.size, await _rounds(servers, blob.size, rounds)


async def _rounds(
    servers: Mapping[str, Server], size: int, rounds: int
) -> dict[tuple[int, str], list[Sample]]:
    samples: dict[tuple[int, str], list[Sample]] = {}
    for clients in CLIENTS:
        for _ in range(rounds):
            for name, server in servers.items():
                sample = await _fetch(server, clients, size)
                samples.setdefault((clients, name), []).append(sample)
    return samples


async def _fetch(server: Server, clients: int, size: int) -> Sample:
    """Start the clients, let them go at once, and take the time between first and last."""
    argv = command_in(None, [sys.executable, "-m", "tests.bench.sink", server.url])
    pipe = asyncio.subprocess.PIPE
    sinks = [
        await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe) for _ in range(clients)
    ]
    for sink in sinks:
        assert sink.stdout is not None
        await sink.stdout.readline()
    before = cpu_seconds(server.pid)
    outputs = await asyncio.gather(*(sink.communicate(b"go\n") for sink in sinks))
    times = [[float(part) for part in output.split()[:2]] for output, _ in outputs]
    return Sample(
        bytes=size * clients,
        seconds=max(finished for _, finished in times) - min(started for started, _ in times),
        cpu_s=cpu_seconds(server.pid) - before,
    )


def _throughput(samples: list[Sample]) -> float:
    """The median round's, bytes/s."""
    return statistics.median(sample.bytes / sample.seconds for sample in samples)


def _cpu_per_gb(samples: list[Sample]) -> float:
    return sum(sample.cpu_s for sample in samples) / sum(sample.bytes for sample in samples) * 1e9


def _report(size: int, rounds: int, samples: Mapping[tuple[int, str], list[Sample]]) -> Report:
    def of(name: str) -> dict[str, float]:
        return {
            key: value
            for clients in CLIENTS
            for key, value in (
                (f"bytes_per_s_{clients}", _throughput(samples[clients, name])),
                (f"cpu_s_per_gb_{clients}", _cpu_per_gb(samples[clients, name])),
            )
        }

    ours, theirs = of(OURS), of(THEIRS)
    ratios = {
        clients: theirs[f"bytes_per_s_{clients}"] / ours[f"bytes_per_s_{clients}"]
        for clients in CLIENTS
    }
    worst = max(ratios, key=lambda clients: ratios[clients])
    return Report(
        bench="hit",
        parameters={"blob_bytes": size, "rounds": rounds, "clients": list(CLIENTS)},
        limit=Limit(
            what=f"docker-registry serving the blob to {worst} client(s)",
            value=theirs[f"bytes_per_s_{worst}"],
            unit="bytes/s",
        ),
        baseline={"what": "docker-registry", **theirs},
        result={**ours, **{f"ratio_{clients}": ratio for clients, ratio in ratios.items()}},
        ratio=ratios[worst],
    )


if __name__ == "__main__":
    main()
