"""The demo's verdict (no IO), and its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eagle_node.api.schema import TrafficStatus
from eagle_node.base.digest import Digest
from eagle_node.base.sizes import format_size
from eagle_node.cli.demo_image import Image
from eagle_node.cli.demo_pull import Pulled

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One node's pull."""

    name: str
    pulled: Pulled
    traffic: TrafficStatus
    """The node's own account."""


def faults(image: Image, outcomes: Sequence[Outcome], sent: Mapping[Digest, int]) -> list[str]:
    """What is wrong with a demo in which the registry ``sent`` so many bytes; empty: nothing.

    Right is: every node got the image's very manifest and every byte of each blob, and the
    registry sent each blob exactly once.
    """
    found: list[str] = []
    sizes = {blob.digest: blob.size for blob in image.blobs}
    for outcome in outcomes:
        if outcome.pulled.manifest != image.digest:
            found.append(f"{outcome.name} got another manifest than the registry's")
        if dict(outcome.pulled.sizes) != sizes:
            found.append(f"{outcome.name} got other blobs than the image has")
        if outcome.traffic.served_bytes < image.size:
            found.append(f"{outcome.name} says that it served fewer bytes than its client got")
    for blob in image.blobs:
        if (count := sent.get(blob.digest, 0)) != blob.size:
            copies = count / blob.size
            found.append(f"the registry sent {copies:.2f} copies of blob {blob.digest[7:19]}")
    return found


def report(image: Image, outcomes: Sequence[Outcome], sent: Mapping[Digest, int]) -> Table:
    """A row per node, and the total."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_footer=True)
    total = sum(sent.values())
    peers = sum(outcome.traffic.peer_download_bytes for outcome in outcomes)
    slowest = max(outcome.pulled.seconds for outcome in outcomes)
    digests = sum(len(outcome.pulled.sizes) for outcome in outcomes)
    table.add_column("node", footer="all")
    table.add_column("from the registry", footer=format_size(total), justify="right")
    table.add_column("from other nodes", footer=format_size(peers), justify="right")
    table.add_column("time", footer=f"{slowest:.2f} s", justify="right")
    table.add_column("digests right", footer=str(digests), justify="right")
    for outcome in outcomes:
        table.add_row(
            outcome.name,
            format_size(outcome.traffic.origin_bytes),
            format_size(outcome.traffic.peer_download_bytes),
            f"{outcome.pulled.seconds:.2f} s",
            f"{len(outcome.pulled.sizes)} of {len(image.blobs)}",
        )
    return table


def document(
    image: Image, outcomes: Sequence[Outcome], sent: Mapping[Digest, int], found: Sequence[str]
) -> dict[str, Any]:
    """The same for scripts; ``found`` are the `faults`."""
    return {
        "image": {"digest": image.digest, "size_bytes": image.size, "blobs": len(image.blobs)},
        "registry_sent_bytes": sum(sent.values()),
        "nodes": [
            {
                "name": outcome.name,
                "origin_bytes": outcome.traffic.origin_bytes,
                "peer_download_bytes": outcome.traffic.peer_download_bytes,
                "seconds": round(outcome.pulled.seconds, 3),
                "digests_right": len(outcome.pulled.sizes),
            }
            for outcome in outcomes
        ],
        "faults": list(found),
    }
