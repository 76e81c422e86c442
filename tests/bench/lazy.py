"""A lazy puller: reads some of a cold blob, here and there; how many bytes move for each asked.

    python -m tests.bench.lazy --size 1024 --share 5 --read 1024

A reader asks a node for ranges at random places until it has asked for the share of the blob. Once
the node fetches from the registry itself, once it is a peer of a seeder that has nothing either,
once of a seeder that has the blob, beside another node that has it too.
The limit is one byte moved for each byte asked; segments that are fetched whole are the baseline.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eagle_node.base.ranges import ByteRange, joined
from eagle_node.blobs.segments import layout_of
from tests.bench import interrupts
from tests.bench.report import Limit, Report, emit, parser
from tests.support import http
from tests.support.node import Node, eagle_node
from tests.support.origin import Origin, scripted_origin
from tests.support.pulls import blob_url, pull_blob, traffic
from tests.support.waiting import until

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one reader has cost."""

    way: str
    asked: int
    origin: int
    """Bytes that the registry sent."""
    swarm: int
    """Bytes that the reader's node got from other nodes."""
    seeder: int
    """Bytes of blobs that the seeder sent to other nodes."""
    median_s: float
    """Until a range was there."""

    @property
    def ratio(self) -> float:
        """Bytes moved to bytes asked, on the dearer of both legs."""
        return max(self.origin, self.swarm) / self.asked


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--size", type=int, default=1024, help="MiB of the blob")
    arguments.add_argument("--share", type=float, default=5.0, help="percent that are read")
    arguments.add_argument("--read", type=int, default=1024, help="KiB of each range")
    options = arguments.parse_args()
    size, read = options.size * MIB, options.read << 10
    ranges = places(size, read, round(size * options.share / 100))
    outcomes = interrupts.run(_measure(size, ranges))
    rows = [
        [
            each.way,
            f"{each.asked / MIB:.1f}",
            f"{each.origin / MIB:.1f}",
            f"{each.swarm / MIB:.1f}",
            f"{each.seeder / MIB:.1f}",
            f"{each.ratio:.3f}",
            f"{each.median_s * 1000:.1f}",
        ]
        for each in outcomes
    ]
    columns = [
        "way",
        "asked MiB",
        "origin MiB",
        "swarm MiB",
        "seeder MiB",
        "moved / asked",
        "median ms",
    ]
    emit(_report(size, ranges, outcomes), columns, rows, only_json=options.json)


def places(size: int, read: int, total: int) -> list[ByteRange]:
    """Ranges of ``read`` bytes at random places, ``total`` bytes of them."""
    generator = random.Random(5)
    starts = (generator.randrange(size - read + 1) for _ in range(max(1, total // read)))
    return [ByteRange(start, start + read) for start in starts]


def whole_segments(size: int, ranges: Sequence[ByteRange]) -> int:
    """Bytes of the segments that ``ranges`` touch."""
    layout = layout_of(size)
    touched = {each for run in ranges for each in layout.covering(run.start, run.stop)}
    return sum(segment.length for segment in touched)


async def _measure(size: int, ranges: Sequence[ByteRange]) -> list[Outcome]:
    with tempfile.TemporaryDirectory(prefix="eagle-lazy-") as name:
        directory = Path(name)
        async with scripted_origin() as origin:
            digest = origin.add(_content(size))
            async with eagle_node(directory / "alone", *origin.flags) as node:
                alone = await _read(node, origin, digest, ranges, way="alone")
            async with (
                eagle_node(directory / "seeder", *origin.flags) as seeder,
                eagle_node(directory / "peer", *origin.flags, *seeder.pins) as peer,
            ):
                way = "through a seeder"
                through = await _read(peer, origin, digest, ranges, way=way, seeder=seeder)
            return [alone, through, await _beside_a_holder(directory, origin, digest, ranges)]


async def _beside_a_holder(
    directory: Path, origin: Origin, digest: str, ranges: Sequence[ByteRange]
) -> Outcome:
    async with (
        eagle_node(directory / "full", *origin.flags) as seeder,
        eagle_node(directory / "holder", *origin.flags, *seeder.pins) as holder,
        eagle_node(directory / "reader", *origin.flags, *seeder.pins) as reader,
    ):
        await pull_blob(holder, digest)

        async def is_known() -> bool:
            """Whether the tracker knows the holder to have all of it."""
            found = await http.get_json(f"{seeder.tracker_url}/v1/holders/{digest}")
            return len([each for each in found["holders"] if each["have"] is None]) > 1

        await until(is_known, what="the tracker to know of the holder")
        way = "beside a holder"
        return await _read(reader, origin, digest, ranges, way=way, seeder=seeder)


def _content(size: int) -> bytes:
    """Random bytes; more of them than one call of the generator can make."""
    generator, step = random.Random(0), 16 * MIB
    return b"".join(generator.randbytes(min(step, size - at)) for at in range(0, size, step))


async def _read(
    node: Node,
    origin: Origin,
    digest: str,
    ranges: Sequence[ByteRange],
    *,
    way: str,
    seeder: Node | None = None,
) -> Outcome:
    before, content = origin.sent(digest), origin.content(digest)
    uploaded = await _uploaded(seeder)
    times = []
    async with http.client() as session:
        for each in ranges:
            started = time.monotonic()
            headers = {"Range": f"bytes={each.start}-{each.stop - 1}"}
            async with session.get(blob_url(node, digest), headers=headers) as answer:
                body = await answer.read()
            times.append(time.monotonic() - started)
            assert body == content[each.start : each.stop], f"wrong bytes at {each.start}"
    return Outcome(
        way=way,
        asked=sum(each.length for each in joined(ranges)),
        origin=origin.sent(digest) - before,
        swarm=(await traffic(node))["peer_download_bytes"],
        seeder=await _uploaded(seeder) - uploaded,
        median_s=sorted(times)[len(times) // 2],
    )


async def _uploaded(seeder: Node | None) -> int:
    if seeder is None:
        return 0
    count: int = (await traffic(seeder))["peer_upload_bytes"]
    return count


def _report(size: int, ranges: Sequence[ByteRange], outcomes: Sequence[Outcome]) -> Report:
    asked = sum(each.length for each in joined(ranges))
    return Report(
        bench="lazy",
        parameters={
            "blob_bytes": size,
            "read_bytes": ranges[0].length,
            "reads": len(ranges),
            "asked_bytes": asked,
        },
        limit=Limit(what="a byte moved for each byte asked", value=1.0, unit="bytes/byte"),
        baseline={"whole_segments": whole_segments(size, ranges) / asked},
        result={
            each.way.replace(" ", "_"): {
                "origin_bytes": each.origin,
                "swarm_bytes": each.swarm,
                "seeder_bytes": each.seeder,
                "moved_per_asked": each.ratio,
                "median_s": each.median_s,
            }
            for each in outcomes
        },
        ratio=max(each.ratio for each in outcomes),
    )


if __name__ == "__main__":
    main()
