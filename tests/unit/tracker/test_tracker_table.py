"""The holdings in SQLite."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from eagle_node.base.digest import Digest
from eagle_node.store.database import Database
from eagle_node.tracker import table as queries
from eagle_node.tracker.bitmap import pack
from eagle_node.tracker.schema import UNKNOWN_HASH, Advert
from eagle_node.tracker.table import Counts, HoldingTable
from tests.unit.tracker.builders import SEGMENTS, SIZE, blob, holds, info_hash, node, node_id


async def holders(table: HoldingTable, digest: Digest) -> dict[int, bytes | None]:
    """Who has a blob, by number."""
    return {int(row.node_id, 16): row.have for row in await table.holders(digest)}


async def test_who_holds_what() -> None:
    """Whole and partial holders are told apart."""
    part = pack([0, 3], SEGMENTS)
    async with HoldingTable(None) as table:
        await table.apply(holds(node(1), blob()))
        await table.apply(holds(node(2), blob(), have=part))
        assert await holders(table, blob()) == {1: None, 2: part}
        assert await holders(table, blob("other")) == {}


async def test_progress_replaces_progress() -> None:
    """A later advert of the same blob counts."""
    async with HoldingTable(None) as table:
        await table.apply(holds(node(1), blob(), have=pack([0], SEGMENTS)))
        await table.apply(holds(node(1), blob()))
        assert await holders(table, blob()) == {1: None}


async def test_info_hashes_name_segments() -> None:
    """An info-hash is known while somebody holds its blob; unknown ones are skipped."""
    advert = holds(node(1), blob(), hashes=(info_hash(7), UNKNOWN_HASH, info_hash(9)))
    async with HoldingTable(None) as table:
        await table.apply(advert)
        torrent = await table.torrent(info_hash(9))
        assert torrent is not None
        assert (torrent.digest, torrent.size, torrent.segment) == (blob(), SIZE, 2)
        assert await table.torrent(UNKNOWN_HASH) is None
        await table.apply(Advert(node=node(1), dropped=(blob(),)))
        assert await table.torrent(info_hash(9)) is None
        assert await table.counts() == Counts(1, 0, 0, 0)


async def test_a_full_advert_is_compared() -> None:
    """What a full advert does not name is dropped, the rest stays."""
    async with HoldingTable(None) as table:
        await table.apply(holds(node(1), blob("a"), blob("b")))
        await table.apply(holds(node(1), blob("b"), blob("c"), full=True))
        found = [bool(await holders(table, blob(name))) for name in "abc"]
        assert found == [False, True, True]


async def test_forgotten_nodes_take_their_rows_along() -> None:
    """Nothing is left of a node that is gone, and nothing of others is touched."""
    async with HoldingTable(None) as table:
        await table.apply(holds(node(1), blob("a"), blob("b"), hashes=(info_hash(1),)))
        await table.apply(holds(node(2), blob("b")))
        await table.forget([node_id(1)])
        assert await table.counts() == Counts(1, 1, 1, 0)
        assert await holders(table, blob("b")) == {2: None}


async def test_holdings_survive_a_restart(tmp_path: Path) -> None:
    """Nodes and holdings are there again when the file is opened again."""
    path = tmp_path / "tracker.sqlite"
    mine = node(1, zone="a", rack="r", group="g", upload_rate=5, seeder=True)
    async with HoldingTable(path) as table:
        await table.apply(holds(mine, blob()))
    async with HoldingTable(path) as table:
        assert await table.nodes() == [mine]
        assert await holders(table, blob()) == {1: None}


async def test_the_port_of_a_holding_is_the_latest() -> None:
    """Also when nothing but the port has changed."""
    async with HoldingTable(None) as table:
        (held,) = holds(node(1), blob()).held
        for port in (0, 61009, 0):
            await table.apply(Advert(node=node(1), held=(replace(held, port=port),)))
            (row,) = await table.holders(blob())
            assert (row.have, row.port) == (None, port)


async def test_thousands_of_rows_are_one_transaction() -> None:
    """An advert of thousands of blobs is taken in whole, and compared whole."""
    digests = [blob(str(n)) for n in range(5000)]
    async with HoldingTable(None) as table:
        await table.apply(holds(node(1), *digests, full=True))
        assert (await table.counts()).holdings == 5000
        await table.apply(holds(node(1), *digests[:100], full=True))
        assert await table.counts() == Counts(1, 100, 100, 0)


@pytest.mark.parametrize(
    "query",
    [
        queries.HOLDERS,
        queries.TORRENT,
        queries.HELD_BY,
        queries.DROP_HOLDING,
        queries.DROP_HOLDINGS,
        queries.DROP_NODE,
        queries.SAVE_HOLDING,
        queries.SAVE_TORRENT,
    ],
)
async def test_every_query_uses_an_index(query: str) -> None:
    """No query reads a whole table."""
    values = (None,) * query.count("?")
    async with Database(None, HoldingTable.MIGRATIONS) as database:
        steps = await database.read(
            lambda tables: list(tables.conn.execute(f"EXPLAIN QUERY PLAN {query}", values))
        )
    assert not [text for *_, text in steps if text.startswith("SCAN")]
