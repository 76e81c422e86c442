"""One cold node against a direct download, on the same shaped link.

    python -m tests.bench.single --rate 100 --size 64 --rounds 5

Every round downloads the blob straight from the registry and then through a fresh node on the same
host; the ratio is that of the median times. Nobody else holds the blob, so the node can only lose.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench import interrupts
from tests.bench.report import Limit, Report, emit, parser
from tests.support import http
from tests.support.images import files_image, push
from tests.support.netns import Host, network
from tests.support.node import eagle_node
from tests.support.registry import Registry, docker_registry

MIB = 1 << 20
MBIT = 1_000_000

Round = tuple[http.Download, http.Download]
"""Direct, and through a cold node."""


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--rate", type=int, default=100, help="Mbit/s of both links")
    arguments.add_argument("--size", type=int, default=64, help="MiB of the blob")
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    rounds = interrupts.run(_measure(options.rate * MBIT, options.size * MIB, options.rounds))
    rows = [
        [
            str(number),
            *(f"{each.seconds:.3f}" for each in pair),
            f"{pair[1].seconds / pair[0].seconds:.3f}",
            *(f"{each.first_byte_s * 1000:.0f}" for each in pair),
        ]
        for number, pair in enumerate(rounds, 1)
    ]
    columns = ["round", "direct s", "node s", "ratio", "direct first byte ms", "node's"]
    emit(_report(options.rate, rounds), columns, rows, only_json=options.json)


async def _measure(rate: int, size: int, rounds: int) -> list[Round]:
    with tempfile.TemporaryDirectory(prefix="eagle-single-") as name:
        directory = Path(name)
        image = files_image(directory / "image", [size], compression=0)
        digest = image.layers[0].digest
        async with network(["origin", "node"], rate=rate) as net:
            origin = net["origin"]
            async with docker_registry(
                directory / "registry", host=origin.address, namespace=origin.namespace
            ) as registry:
                await push(image, registry, "library/app")
                return [
                    await _round(directory / f"node-{number}", registry, net["node"], digest)
                    for number in range(rounds)
                ]


async def _round(directory: Path, registry: Registry, host: Host, digest: str) -> Round:
    path = f"/v2/library/app/blobs/{digest}"
    direct = await http.download(registry.url + path, digest=digest, namespace=host.namespace)
    async with eagle_node(
        *(directory, "--registry", f"docker.io={registry.url}"),
        host=host.address,
        namespace=host.namespace,
    ) as node:
        through = await http.download(
            node.proxy_url + path, digest=digest, namespace=host.namespace
        )
    return direct, through


def _report(rate: int, rounds: Sequence[Round]) -> Report:
    direct_s, node_s = (statistics.median(pair[side].seconds for pair in rounds) for side in (0, 1))
    direct_first_s, node_first_s = (
        statistics.median(pair[side].first_byte_s for pair in rounds) for side in (0, 1)
    )
    return Report(
        bench="single",
        parameters={
            "rate_mbit": rate,
            "blob_bytes": rounds[0][0].bytes,
            "rounds": len(rounds),
        },
        limit=Limit(what="direct download in the same rig, median", value=direct_s, unit="s"),
        baseline={"seconds": direct_s, "first_byte_s": direct_first_s},
        result={
            "seconds": node_s,
            "first_byte_s": node_first_s,
            "first_byte_later_s": node_first_s - direct_first_s,
            "ratios": [through.seconds / direct.seconds for direct, through in rounds],
        },
        ratio=node_s / direct_s,
    )


if __name__ == "__main__":
    main()
