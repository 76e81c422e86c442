"""What asking a registry costs: per warm hit of a private blob, and in waves of nodes.

    python -m tests.bench.rights --hits 1000 --nodes 5 20

Hits are one after the other, of a small blob that is in the cache, by a client with a password:
with the registry's yes remembered as by default, and with none remembered. The baseline is the
registry itself. A wave is a pull by every node at once, as containerd and podman ask; what the
registry was asked for is counted. The ratio is the wave of most nodes to that of fewest, in
requests.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from tests.bench import interrupts
from tests.bench.report import Limit, Report, emit, parser
from tests.support import http
from tests.support.images import MANIFEST_TYPE, files_image, push
from tests.support.node import Node, eagle_node
from tests.support.origin import NAME, Behaviour, Origin, scripted_origin
from tests.support.pulls import REPOSITORY, blob_url, manifest_url, pull_blob
from tests.support.registry import Credentials, Registry, docker_registry

KIB = 1 << 10
AUTH = Credentials(user="reader", password="reader")
LAYERS = 8


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--hits", type=int, default=1000)
    arguments.add_argument("--nodes", type=int, nargs="+", default=[5, 20], help="of the waves")
    options = arguments.parse_args()
    hits, waves = interrupts.run(_measure(options.hits, sorted(options.nodes)))
    fewest, most = waves[min(waves)], waves[max(waves)]
    report = Report(
        bench="rights",
        parameters={"hits": options.hits, "nodes": sorted(waves), "layers": LAYERS},
        limit=Limit(what=f"requests in a wave of {min(waves)}", value=fewest, unit="requests"),
        baseline={"what": "docker-registry, per hit", "ms": hits["registry"]["ms"]},
        result={"hits": hits, "wave_requests": {str(size): n for size, n in waves.items()}},
        ratio=most / fewest,
    )
    rows = [
        [name, f"{each['ms']:.2f}", f"{each['per_1000']:.1f}"] for name, each in hits.items()
    ] + [[f"wave of {size}", "", str(count)] for size, count in waves.items()]
    emit(report, ["", "ms per hit", "requests"], rows, only_json=options.json)


async def _measure(
    hits: int, sizes: Sequence[int]
) -> tuple[dict[str, dict[str, float]], dict[int, int]]:
    """Of each way to be served: ms and the registry's requests per 1,000; requests of each wave."""
    with tempfile.TemporaryDirectory(prefix="eagle-rights-") as name:
        return await _hits(Path(name), hits), await _waves(Path(name), sizes)


async def _hits(directory: Path, count: int) -> dict[str, dict[str, float]]:
    image = files_image(directory / "image", [4 * KIB])
    shown = {"Authorization": AUTH.header}
    blob = image.layers[0].digest
    async with docker_registry(directory / "registry", auth=AUTH) as registry:
        await push(image, registry, REPOSITORY)
        direct = f"{registry.url}/v2/{REPOSITORY}/blobs/{blob}"
        found = {"registry": await _timed(registry, direct, shown, count)}
        for what, flags in (("remembered", ()), ("asked each time", ("--access-ttl", "0.000001"))):
            at = ("--registry", f"{NAME}={registry.url}", *flags)
            async with eagle_node(directory / what.replace(" ", "-"), *at) as node:
                await pull_blob(node, blob, headers=shown)
                found[what] = await _timed(registry, blob_url(node, blob), shown, count)
    return found


async def _timed(
    registry: Registry, url: str, headers: Mapping[str, str], count: int
) -> dict[str, float]:
    """The median hit on one connection, and what the registry was asked meanwhile."""
    asked, times = len(await registry.accesses()), []
    async with http.client() as session:
        for _ in range(count):
            started = time.perf_counter()
            async with session.get(url, headers=headers) as answer:
                assert answer.status == 200
                await answer.read()
            times.append(time.perf_counter() - started)
    asked = len(await registry.accesses()) - asked
    return {"ms": statistics.median(times) * 1000, "per_1000": asked * 1000 / count}


async def _waves(directory: Path, sizes: Sequence[int]) -> dict[int, int]:
    async with scripted_origin() as origin, AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(eagle_node(directory / "n0", *origin.flags))]
        others = [directory / f"n{number}" for number in range(1, sizes[-1])]
        flags = (*origin.flags, *nodes[0].pins)
        nodes += await asyncio.gather(
            *(stack.enter_async_context(eagle_node(each, *flags)) for each in others)
        )
        counts = {}
        for size in sizes:
            digest, blobs = _stock(origin, size)
            before = len(origin.requests)
            tag = f"wave-{size}"
            await asyncio.gather(*(_pull(node, tag, digest, blobs) for node in nodes[-size:]))
            counts[size] = len(origin.requests) - before
        return counts


def _stock(origin: Origin, size: int) -> tuple[str, list[str]]:
    """An image for the wave of this size: its manifest's digest and its blobs'."""
    blobs = [origin.add_random(n * 40 * KIB + 1, seed=size) for n in range(1, LAYERS + 1)]
    layers: list[dict[str, Any]] = [
        {"mediaType": "layer", "digest": blob, "size": len(origin.content(blob))} for blob in blobs
    ]
    manifest = json.dumps({"mediaType": MANIFEST_TYPE, "layers": layers}).encode()
    digest = origin.add_manifest(f"wave-{size}", manifest)
    origin.add_manifest(digest, manifest)
    told = Behaviour(headers={"Docker-Content-Digest": digest})
    origin.always(f"wave-{size}", told)
    return digest, [str(blob) for blob in blobs]


async def _pull(node: Node, tag: str, digest: str, blobs: Sequence[str]) -> None:
    async with http.client() as session, session.head(manifest_url(node, tag)) as head:
        assert head.status == 200
    for reference in (tag, digest):
        await http.download(manifest_url(node, reference), digest=digest)
    await asyncio.gather(*(pull_blob(node, blob) for blob in blobs))


if __name__ == "__main__":
    main()
