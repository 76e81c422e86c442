"""Which node holds which blob, in SQLite: millions of rows, every query answered from an index."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eagle_node.base.digest import Digest, digest_hex
from eagle_node.base.ids import InfoHash, NodeId
from eagle_node.store.tables import TableStore
from eagle_node.tracker.machine import HeldRow, Torrent
from eagle_node.tracker.schema import UNKNOWN_HASH, Advert, NodeInfo

if TYPE_CHECKING:
    from sqlite_utils import Database as Tables

_SCHEMA = (
    "CREATE TABLE node (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, host TEXT NOT NULL,"
    " port INTEGER NOT NULL, zone TEXT NOT NULL, rack TEXT NOT NULL, group_name TEXT NOT NULL,"
    " upload_rate INTEGER NOT NULL, seeder INTEGER NOT NULL)",
    "CREATE TABLE blob (number INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE,"
    " size INTEGER NOT NULL)",
    "CREATE TABLE holding (blob INTEGER, node INTEGER, have BLOB, PRIMARY KEY (blob, node))"
    " WITHOUT ROWID",
    "CREATE INDEX holding_by_node ON holding (node)",
    "CREATE TABLE torrent (info_hash BLOB PRIMARY KEY, blob INTEGER NOT NULL,"
    " segment INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX torrent_by_blob ON torrent (blob)",
    "CREATE TRIGGER last_holding AFTER DELETE ON holding"
    " WHEN NOT EXISTS (SELECT 1 FROM holding WHERE blob = old.blob) BEGIN"
    " DELETE FROM torrent WHERE blob = old.blob; DELETE FROM blob WHERE number = old.blob; END",
)

NODES = "SELECT id, host, port, zone, rack, group_name, upload_rate, seeder FROM node"
SAVE_NODE = (
    "INSERT INTO node (id, host, port, zone, rack, group_name, upload_rate, seeder)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET host = excluded.host,"
    " port = excluded.port, zone = excluded.zone, rack = excluded.rack,"
    " group_name = excluded.group_name, upload_rate = excluded.upload_rate,"
    " seeder = excluded.seeder RETURNING number"
)
SAVE_BLOB = "INSERT INTO blob (digest, size) VALUES (?, ?) ON CONFLICT DO NOTHING"
SAVE_HOLDING = (
    "INSERT INTO holding SELECT number, ?, ?, ? FROM blob WHERE digest = ?"
    " ON CONFLICT DO UPDATE SET have = excluded.have, port = excluded.port"
    " WHERE have IS NOT excluded.have OR port <> excluded.port"
)
SAVE_TORRENT = (
    "INSERT INTO torrent SELECT ?, number, ? FROM blob WHERE digest = ? ON CONFLICT DO NOTHING"
)
HELD_BY = (
    "SELECT blob.digest FROM holding JOIN blob ON blob.number = holding.blob WHERE holding.node = ?"
)
DROP_HOLDING = (
    "DELETE FROM holding WHERE node = ? AND blob = (SELECT number FROM blob WHERE digest = ?)"
)
HOLDERS = (
    "SELECT node.id, holding.have, holding.port FROM blob"
    " JOIN holding ON holding.blob = blob.number JOIN node ON node.number = holding.node"
    " WHERE blob.digest = ?"
)
TORRENT = (
    "SELECT blob.digest, blob.size, torrent.segment FROM torrent"
    " JOIN blob ON blob.number = torrent.blob WHERE torrent.info_hash = ?"
)
DROP_HOLDINGS = "DELETE FROM holding WHERE node = (SELECT number FROM node WHERE id = ?)"
DROP_NODE = "DELETE FROM node WHERE id = ?"


def _create(tables: Tables) -> None:
    for statement in _SCHEMA:
        tables.conn.execute(statement)


def _add_ports(tables: Tables) -> None:
    tables.conn.execute("ALTER TABLE holding ADD COLUMN port INTEGER NOT NULL DEFAULT 0")


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows in the table."""

    nodes: int
    blobs: int
    holdings: int
    torrents: int


class HoldingTable(TableStore):
    """The holdings of all nodes."""

    MIGRATIONS = (_create, _add_ports)

    async def nodes(self) -> list[NodeInfo]:
        """All nodes that have ever advertised and were not forgotten."""
        rows = await self._rows(NODES)
        return [
            NodeInfo(
                node_id=NodeId(node_id),
                host=host,
                port=port,
                zone=zone,
                rack=rack,
                group=group,
                upload_rate=rate,
                seeder=bool(seeder),
            )
            for node_id, host, port, zone, rack, group, rate, seeder in rows
        ]

    async def apply(self, advert: Advert) -> None:
        """Store what a node says it holds; a full advert is compared with what is stored."""
        await self._database.write(lambda tables: _apply(tables, advert))

    async def holders(self, digest: Digest) -> list[HeldRow]:
        """Who has a blob, or parts of it."""
        rows = await self._rows(HOLDERS, _raw(digest))
        return [
            HeldRow(node_id=NodeId(node_id), have=have, port=port) for node_id, have, port in rows
        ]

    async def torrent(self, info_hash: InfoHash) -> Torrent | None:
        """What an info-hash stands for; None when nobody holds such a thing."""
        rows = await self._rows(TORRENT, info_hash)
        for digest, size, segment in rows:
            blob = Digest("sha256:" + digest.hex())
            return Torrent(info_hash=info_hash, digest=blob, size=size, segment=segment)
        return None

    async def forget(self, nodes: Iterable[NodeId]) -> int:
        """Remove nodes with all that they hold, and blobs that nobody else holds; their number."""
        rows = [(node_id,) for node_id in nodes]

        def work(tables: Tables) -> None:
            tables.conn.executemany(DROP_HOLDINGS, rows)
            tables.conn.executemany(DROP_NODE, rows)

        await self._database.write(work)
        return len(rows)

    async def counts(self) -> Counts:
        """How many rows there are."""
        tables = ("node", "blob", "holding", "torrent")
        queries = ", ".join(f"(SELECT count(*) FROM {table})" for table in tables)
        return Counts(*(await self._rows(f"SELECT {queries}"))[0])


def _apply(tables: Tables, advert: Advert) -> None:
    run, node = tables.conn.executemany, advert.node
    # fetchall runs the statement to its end; a cursor left open would block the commit.
    number = tables.conn.execute(SAVE_NODE, _node_row(node)).fetchall()[0][0]
    dropped = {_raw(digest) for digest in advert.dropped}
    if advert.full:
        dropped |= {digest for (digest,) in tables.conn.execute(HELD_BY, (number,))}
        dropped -= {_raw(held.digest) for held in advert.held}
    run(DROP_HOLDING, [(number, digest) for digest in dropped])
    run(SAVE_BLOB, [(_raw(held.digest), held.size) for held in advert.held])
    run(SAVE_HOLDING, [(number, held.have, held.port, _raw(held.digest)) for held in advert.held])
    run(
        SAVE_TORRENT,
        [
            (info_hash, segment, _raw(held.digest))
            for held in advert.held
            for segment, info_hash in enumerate(held.info_hashes)
            if info_hash != UNKNOWN_HASH
        ],
    )


def _node_row(node: NodeInfo) -> tuple[object, ...]:
    return (
        node.node_id,
        node.host,
        node.port,
        node.zone,
        node.rack,
        node.group,
        node.upload_rate,
        node.seeder,
    )


def _raw(digest: Digest) -> bytes:
    return bytes.fromhex(digest_hex(digest))
