"""Preheat of an image to all nodes, against the cold wave of one like it.

    python -m tests.bench.preheat --nodes 20 --rate 20

Both in one run on the rig of `tests.bench.wave`: first all nodes pull an image at once, then a job
brings another one of the same sizes to all of them. A job is told to nodes with their next sign of
life, half of ``--tracker-interval`` apart: how long that took is told beside the rest.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench import interrupts
from tests.bench.report import Limit, Report, emit, parser
from tests.bench.wave_cases import CASES
from tests.bench.wave_clients import REGISTRY, REPOSITORY
from tests.bench.wave_rig import rig
from tests.bench.wave_run import Wave
from tests.bench.wave_scenario import Outcome, Scenario
from tests.support import http
from tests.support.images import push, random_image

_LOOK_S = 0.25
_PATIENCE_S = 300.0
_TAG = "preheated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preheated:
    """When, after the job was given, each node had begun and had everything; seconds."""

    begun: list[float]
    done: list[float]
    origin_copies: float


def main() -> None:
    """Measure, print."""
    made = parser(__doc__)
    made.add_argument("--nodes", type=int, default=20)
    made.add_argument("--rate", type=float, default=20.0, help="Mbit/s of each link")
    made.add_argument(
        "--interval", type=float, default=30.0, help="--tracker-interval of all nodes"
    )
    given = made.parse_args()
    flags = ("--tracker-interval", f"{given.interval:g}")
    scenario = replace(CASES["layers-14"].scenario, nodes=given.nodes, rate=given.rate, flags=flags)
    wave, job = interrupts.run(_measure(scenario))
    _tell(scenario, wave, job, given.interval, only_json=given.json)


async def _measure(scenario: Scenario) -> tuple[Outcome, Preheated]:
    with tempfile.TemporaryDirectory(prefix="eagle-preheat-") as directory:
        async with rig(scenario, Path(directory)) as wave:
            other = await asyncio.to_thread(
                random_image, Path(directory) / "other", scenario.sizes, seed="other"
            )
            await push(other, wave.registry, REPOSITORY, _TAG)
            return await wave.run(), await _preheat(wave)


async def _preheat(wave: Wave) -> Preheated:
    """Give the job to a node that holds no role, and look at it until it has ended."""
    node, before = wave.nodes[-1], sum((await wave.registry.blob_bytes()).values())
    url, started = f"{node.api_url}/v1/preheat", time.monotonic()
    begun: dict[str, float] = {}
    done: dict[str, float] = {}
    body = {"image": f"{REGISTRY}/{REPOSITORY}:{_TAG}"}
    async with asyncio.timeout(_PATIENCE_S), http.client(namespace=node.namespace) as session:
        async with session.post(url, json=body) as answer:
            job: dict[str, Any] = await answer.json()
        while job["state"] not in ("succeeded", "failed", "cancelled"):
            await asyncio.sleep(_LOOK_S)
            async with session.get(f"{url}/{job['id']}") as answer:
                job = await answer.json()
            now = time.monotonic() - started
            for target in job["targets"]:
                if target["have_bytes"]:
                    begun.setdefault(target["node"], now)
                if target["state"] == "succeeded":
                    done.setdefault(target["node"], now)
    assert job["state"] == "succeeded", job
    sent = sum((await wave.registry.blob_bytes()).values()) - before
    return Preheated(
        begun=sorted(begun.values()),
        done=sorted(done.values()),
        origin_copies=sent / wave.scenario.size,
    )


def _tell(
    scenario: Scenario, wave: Outcome, job: Preheated, interval: float, *, only_json: bool
) -> None:
    pulled = [pull.finished for pull in wave.pulls if pull.finished is not None]
    assert len(pulled) == len(job.done) == scenario.nodes, "every node has both images"
    rows = [
        ("one direct download", wave.direct_s, None, None),
        ("cold wave", max(pulled), median(pulled), wave.origin_copies),
        ("preheat, from the command on", job.done[-1], median(job.done), job.origin_copies),
        ("preheat, from its first byte on", *_since(job.done, job.begun[0]), job.origin_copies),
    ]
    report = Report(
        bench="preheat",
        parameters={
            "nodes": scenario.nodes,
            "rate_mbit_s": scenario.rate,
            "layers": len(scenario.sizes),
            "bytes": scenario.size,
            "tracker_interval_s": interval,
        },
        limit=Limit(what="one direct download", value=wave.direct_s, unit="s"),
        baseline={"wave_last_s": max(pulled), "wave_median_s": median(pulled)},
        result={
            "last_s": job.done[-1],
            "median_s": median(job.done),
            "first_byte_s": job.begun[0],
            "moving_s": job.done[-1] - job.begun[0],
            "origin_copies": job.origin_copies,
        },
        ratio=job.done[-1] / max(pulled),
    )
    shown = [
        (what, f"{last:.1f}", *("-" if each is None else f"{each:.2f}" for each in others))
        for what, last, *others in rows
    ]
    emit(report, ("", "last s", "median s", "origin / image"), shown, only_json=only_json)


def _since(times: list[float], start: float) -> tuple[float, float]:
    return times[-1] - start, median(times) - start


if __name__ == "__main__":
    main()
