"""Memory that a large cold blob costs a node.

    python -m tests.bench.memory --size 2048

A client fetches the blob through one node from docker-registry. The peak is the kernel's own
(``VmHWM``, reset before), above what was resident when the node was idle; cached pages of files
count only where the node has them mapped, and the part without those is told as well.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.bench import interrupts
from tests.bench.fetching import Fetched, fetch
from tests.bench.report import (
    Limit,
    Report,
    emit,
    group_cpu_seconds,
    memory_mib,
    parser,
    peak_rss_mib,
    reset_peak_rss,
)
from tests.support.http import BadAnswer
from tests.support.images import push, random_image
from tests.support.node import eagle_node
from tests.support.registry import docker_registry

MIB = 1 << 20
ALLOWED_MIB = 64.0
LOOK_S = 0.05
"""Seconds between two looks at the memory that no file backs."""
NAME, REPOSITORY = "origin.test", "memory/image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One blob through one node."""

    blob_bytes: int
    seconds: float
    cpu_s: float
    """Of the node."""
    idle_mib: float
    peak_mib: float
    idle_anonymous_mib: float
    peak_anonymous_mib: float
    """As seen every `LOOK_S`."""

    @property
    def above_idle_mib(self) -> float:
        """What the blob cost."""
        return self.peak_mib - self.idle_mib


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--size", type=int, default=2048, help="MiB of the blob")
    arguments.add_argument("--settle", type=float, default=5.0, help="seconds to wait before")
    options = arguments.parse_args()
    if options.size < 1 or options.settle < 0:
        arguments.error("--size is at least 1, --settle at least 0")
    sample = interrupts.run(_measure(options.size * MIB, options.settle))
    columns = ["", "idle MiB", "peak MiB", "above idle MiB", "at most"]
    rows = [
        _row("resident", sample.idle_mib, sample.peak_mib, f"{ALLOWED_MIB:g}"),
        _row("backed by no file", sample.idle_anonymous_mib, sample.peak_anonymous_mib, ""),
    ]
    emit(_report(sample, options.settle), columns, rows, only_json=options.json)


async def _measure(size: int, settle: float) -> Sample:
    with tempfile.TemporaryDirectory(prefix="eagle-memory-") as name:
        directory = Path(name)
        image = await asyncio.to_thread(random_image, directory / "image", [size])
        blob = image.layers[0]
        async with docker_registry(directory / "registry") as registry:
            await push(image, registry, REPOSITORY)
            flags = ("--registry", f"{NAME}={registry.url}", "--default-registry", NAME)
            async with eagle_node(directory / "node", *flags) as node:
                await asyncio.sleep(settle)
                url = f"{node.proxy_url}/v2/{REPOSITORY}/blobs/{blob.digest}"
                sample, fetched = await _watched(node.process.pid, url, blob.size)
    if fetched.digest != blob.digest:
        raise BadAnswer(f"the bytes of {fetched.digest}, not of {blob.digest}")
    return sample


async def _watched(pid: int, url: str, size: int) -> tuple[Sample, Fetched]:
    """Fetch, and look at the node meanwhile."""
    reset_peak_rss(pid)
    idle, cpu_before = memory_mib(pid), group_cpu_seconds(pid)
    anonymous = idle["RssAnon"]
    fetching = asyncio.ensure_future(fetch(url, hashed=True))
    try:
        while not fetching.done():
            await asyncio.wait([fetching], timeout=LOOK_S)
            anonymous = max(anonymous, memory_mib(pid)["RssAnon"])
        fetched = await fetching
    finally:
        fetching.cancel()
    sample = Sample(
        blob_bytes=size,
        seconds=fetched.seconds,
        cpu_s=group_cpu_seconds(pid) - cpu_before,
        idle_mib=idle["VmRSS"],
        peak_mib=peak_rss_mib(pid),
        idle_anonymous_mib=idle["RssAnon"],
        peak_anonymous_mib=anonymous,
    )
    return sample, fetched


def _row(name: str, idle: float, peak: float, allowed: str) -> list[str]:
    return [name, f"{idle:.1f}", f"{peak:.1f}", f"{peak - idle:.1f}", allowed]


def _report(sample: Sample, settle: float) -> Report:
    return Report(
        bench="memory",
        parameters={"blob_bytes": sample.blob_bytes, "settle_s": settle},
        limit=Limit(
            what="peak resident memory above idle that is allowed", value=ALLOWED_MIB, unit="MiB"
        ),
        baseline={"what": "the same node, idle", "rss_mib": sample.idle_mib},
        result={
            "peak_rss_mib": sample.peak_mib,
            "above_idle_mib": sample.above_idle_mib,
            "anonymous_above_idle_mib": sample.peak_anonymous_mib - sample.idle_anonymous_mib,
            "seconds": sample.seconds,
            "cpu_s_per_gb": sample.cpu_s / sample.blob_bytes * 1e9,
        },
        ratio=sample.above_idle_mib / ALLOWED_MIB,
    )


if __name__ == "__main__":
    main()
