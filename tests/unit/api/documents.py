"""A node that tells fixed things about itself."""

from __future__ import annotations

from collections.abc import Sequence

from eagle_node.api.schema import (
    BlobRow,
    Blobs,
    CacheStatus,
    ClusterStatus,
    Member,
    NodeStatus,
    ServedFrom,
    Status,
    TrafficStatus,
)

STATUS = Status(
    node=NodeStatus(
        id="n1",
        address="192.0.2.1",
        roles=("peer", "proxy"),
        zone="eu-1",
        version="0.1.0",
        uptime_s=93784.5,
    ),
    cluster=ClusterStatus(
        name="default",
        leader=None,
        term=0,
        members=(
            Member(
                id="n1", address="192.0.2.1", state="alive", roles=("peer", "proxy"), zone="eu-1"
            ),
        ),
    ),
    traffic=TrafficStatus(
        origin_bytes=1,
        peer_download_bytes=2048,
        peer_upload_bytes=3,
        served_bytes=6,
        served_from=ServedFrom(local=1, swarm=2, origin=3),
    ),
    cache=CacheStatus(used_bytes=10, limit_bytes=0, blobs=1),
)
BLOBS = Blobs(blobs=(BlobRow(digest="sha256:" + "0" * 64, size=10, have_bytes=4),))


class FixedSource:
    """A `StatusSource` whose answers are constants."""

    def __init__(self, reasons: Sequence[str] = ()) -> None:
        self._reasons = reasons

    async def status(self) -> Status:
        """Always the same."""
        return STATUS

    async def blobs(self) -> Blobs:
        """Always the same."""
        return BLOBS

    async def ready(self) -> Sequence[str]:
        """As told."""
        return self._reasons
