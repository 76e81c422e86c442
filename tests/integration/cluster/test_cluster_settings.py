"""What a cluster agrees on while it runs, and clusters with a key."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fleet import Fleet, fleet, set_to
from tests.support.waiting import until


async def held(nodes: Fleet, role: str, count: int) -> None:
    """Wait until exactly ``count`` nodes say that they have ``role``."""

    async def are_held() -> bool:
        statuses = await nodes.statuses()
        return sum(role in status["node"]["roles"] for status in statuses) == count

    await until(are_held, what=f"{count} nodes to be {role}")


async def test_the_number_of_holders_changes_at_run_time(tmp_path: Path) -> None:
    """Any node takes the setting; roles follow, pulls go on, and the default comes back."""
    async with fleet(tmp_path, 3, blobs=2) as nodes:
        await nodes.agreed()
        first, second, _ = nodes.nodes.values()
        assert (await set_to(first, "trackers", "1"))[0] == 200
        assert (await set_to(second, "seeders", "3"))[0] == 200
        await held(nodes, "tracker", 1)
        await held(nodes, "seeder", 3)
        await nodes.pull(list(nodes.nodes.values()), nodes.blobs[0])
        for key in ("trackers", "seeders"):
            assert (await set_to(first, key, ""))[0] == 200
        await nodes.agreed()
        status, problem = await set_to(first, "seeders", "many")
        assert status == 400
        assert "'many' is not a number" in problem["detail"]


async def test_a_cluster_with_a_key(tmp_path: Path) -> None:
    """Gossip, leases, trackers, seeders and the swarm itself: everything is sealed, and works."""
    key = tmp_path / "cluster.key"
    key.write_text("5" * 64)
    key.chmod(0o600)
    async with fleet(tmp_path, 3, "--cluster-key-file", str(key), blobs=1) as nodes:
        await nodes.agreed()
        await nodes.pull(list(nodes.nodes.values()), nodes.blobs[0])
        assert await nodes.registry.blob_requests() == {nodes.blobs[0]: 1}


@pytest.mark.slow
async def test_twenty_nodes(tmp_path: Path) -> None:
    """They start at once, agree, and pull a blob that the registry sends once."""
    async with fleet(tmp_path, 20, blobs=1) as nodes:
        await nodes.agreed()
        await nodes.pull(list(nodes.nodes.values()), nodes.blobs[0])
        assert await nodes.registry.blob_requests() == {nodes.blobs[0]: 1}
