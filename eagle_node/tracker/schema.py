"""The messages between nodes and trackers: values, valid once parsed, and their JSON."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import islice

from eagle_node.base.digest import Digest, parse_digest
from eagle_node.base.errors import BadDigest
from eagle_node.base.ids import InfoHash, NodeId
from eagle_node.blobs.segments import layout_of
from eagle_node.tracker.bitmap import fits
from eagle_node.tracker.fields import Fields, base64_text

MAX_SIZE = 1 << 40
"""Bytes that a blob may have: bounds the layout that a message makes the tracker compute."""
UNKNOWN_HASH = InfoHash(bytes(20))
"""Stands for the info-hash of a segment that the sender has no metainfo of."""
HOLD_S = 8.0
"""How long a plan that has not changed is held back: below the patience of proxies in between."""
MAX_GAUGED = 8
_MAX_RATE = 1 << 60
_NODE_ID = re.compile(r"[0-9a-f]{32}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeInfo:
    """A node as it describes itself."""

    node_id: NodeId
    host: str
    """IP address, canonical text."""
    port: int
    """TCP port of its swarm listener."""
    zone: str = ""
    rack: str = ""
    group: str = ""
    upload_rate: int = 0
    """Bytes/s that it can or may send; 0 is unknown."""
    seeder: bool = False
    """Whether it fetches from origins for the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerAddress:
    """Where a peer's swarm listener is."""

    node_id: NodeId
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What a node has of one blob."""

    digest: Digest
    size: int
    have: bytes | None = None
    """None: all of it, verified; else a bitmap of verified segments."""
    info_hashes: tuple[InfoHash, ...] = ()
    """By segment number; absent or `UNKNOWN_HASH` where not known.

    One more, behind the last segment's, is that of a torrent of the whole blob: only who has all of
    the blob is handed out for it.
    """
    fetching: bool = False
    """It gets the rest from the blob's origin, not from other nodes."""
    port: int = 0
    """TCP port at which the node offers this blob; 0: that of its swarm listener."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """A peer that refuses connections: its process has ended, or its host."""

    node_id: NodeId
    ago_s: float = 0.0
    """Since when: it may be back, and have said so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """A node is about to download a blob, or (again) wants another parent."""

    node: NodeInfo
    digest: Digest
    size: int
    failed: tuple[NodeId, ...] = ()
    """Peers that gave it no progress."""
    gone: tuple[Gone, ...] = ()
    partial: bool = False
    """It wants parts of the blob only, and so cannot feed others."""
    done: int = 0
    """Segments that it has."""
    after: str = ""
    """Answer once the plan has another revision than this, or after a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Whom to take a blob from."""

    stripes: tuple[tuple[PeerAddress, ...], ...]
    """Segment ``i`` comes from stripe ``i % len(stripes)``: its parent, then fallbacks in order."""
    interval_s: float
    """Seconds between adverts of a node; who misses two is forgotten."""
    revision: str = ""
    """Names the parents: other parents, another revision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauged:
    """What a node has found of the way to it from another one."""

    node_id: NodeId
    """Who sent."""
    rate: int
    """Bytes/s; 0: it could not be measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advert:
    """What a node holds. With ``full`` everything else that was known of it is forgotten.

    One without holdings is a sign of life.
    """

    node: NodeInfo
    full: bool = False
    held: tuple[Holding, ...] = ()
    dropped: tuple[Digest, ...] = ()
    gauged: tuple[Gauged, ...] = ()
    """What it has measured of late; `MAX_GAUGED` at the most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvertReply:
    """What the tracker makes of an advert."""

    want_full: bool
    """It did not know the node, or knew it elsewhere: it asks for everything the node holds."""
    errands: bool = False
    """Something waits for the node; see `errands`."""
    gauges: tuple[PeerAddress, ...] = ()
    """Nodes against which it should measure its link when it is idle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A node that has a blob or part of it."""

    peer: PeerAddress
    have: bytes | None = None


def canonical_ip(text: str) -> str:
    """The usual spelling of an IP address, v4-mapped v6 as v4; `ValueError` if it is none."""
    address = ipaddress.ip_address(text)
    if address.version == 6 and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)


def address_of(node: NodeInfo) -> PeerAddress:
    """Where ``node`` listens."""
    return PeerAddress(node_id=node.node_id, host=node.host, port=node.port)


def parse_plan_request(body: bytes) -> PlanRequest:
    """The request that ``body`` spells, or `Malformed`."""
    fields = Fields.of(body)
    return PlanRequest(
        node=parse_node(fields.inner("node")),
        digest=_digest(fields, "digest", fields.text("digest")),
        size=fields.integer("size", 0, MAX_SIZE),
        failed=tuple(_node_id(fields, "failed", text) for text in fields.texts("failed")),
        gone=tuple(_gone(each) for each in fields.objects("gone")),
        partial=fields.boolean("partial"),
        done=fields.integer("done", 0, MAX_SIZE, default=0),
        after=fields.text("after"),
    )


def _gone(fields: Fields) -> Gone:
    node_id = _node_id(fields, "node_id", fields.text("node_id"))
    return Gone(node_id=node_id, ago_s=fields.number("ago_s", zero=True))


def render_plan_request(request: PlanRequest) -> bytes:
    """``request`` as JSON."""
    return _json(asdict(request))


def parse_plan(body: bytes) -> Plan:
    """The plan that ``body`` spells, or `Malformed`."""
    fields = Fields.of(body)
    return Plan(
        stripes=tuple(
            tuple(_peer(peer) for peer in stripe.objects("peers"))
            for stripe in fields.objects("stripes")
        ),
        interval_s=fields.number("interval_s"),
        revision=fields.text("revision"),
    )


def render_plan(plan: Plan) -> bytes:
    """``plan`` as JSON."""
    stripes = [{"peers": [asdict(peer) for peer in stripe]} for stripe in plan.stripes]
    return _json({"stripes": stripes, "interval_s": plan.interval_s, "revision": plan.revision})


def parse_advert(body: bytes) -> Advert:
    """The advert that ``body`` spells, or `Malformed`."""
    fields = Fields.of(body)
    return Advert(
        node=parse_node(fields.inner("node")),
        full=fields.boolean("full"),
        held=tuple(_holding(held) for held in fields.objects("held")),
        dropped=tuple(_digest(fields, "dropped", text) for text in fields.texts("dropped")),
        gauged=tuple(_gauged(each) for each in islice(fields.objects("gauged"), MAX_GAUGED)),
    )


def render_advert(advert: Advert) -> bytes:
    """``advert`` as JSON."""
    return _json(
        {
            "node": asdict(advert.node),
            "full": advert.full,
            "held": [_holding_json(holding) for holding in advert.held],
            "dropped": advert.dropped,
            "gauged": [asdict(each) for each in advert.gauged],
        }
    )


def parse_advert_reply(body: bytes) -> AdvertReply:
    """The reply that ``body`` spells, or `Malformed`."""
    fields = Fields.of(body)
    return AdvertReply(
        want_full=fields.boolean("want_full"),
        errands=fields.boolean("errands"),
        gauges=tuple(_peer(peer) for peer in fields.objects("gauges")),
    )


def render_advert_reply(reply: AdvertReply) -> bytes:
    """``reply`` as JSON."""
    return _json(asdict(reply))


def parse_holders(body: bytes) -> tuple[Holder, ...]:
    """The holders that ``body`` spells, or `Malformed`."""
    return tuple(
        Holder(peer=_peer(holder), have=holder.binary("have"))
        for holder in Fields.of(body).objects("holders")
    )


def render_holders(holders: Iterable[Holder]) -> bytes:
    """``holders`` as JSON."""
    rows = [{**asdict(holder.peer), "have": _bitmap_json(holder.have)} for holder in holders]
    return _json({"holders": rows})


def parse_node(fields: Fields) -> NodeInfo:
    """The node that an object describes."""
    peer = _peer(fields)
    return NodeInfo(
        node_id=peer.node_id,
        host=peer.host,
        port=peer.port,
        zone=fields.text("zone"),
        rack=fields.text("rack"),
        group=fields.text("group"),
        upload_rate=fields.integer("upload_rate", 0, _MAX_RATE, default=0),
        seeder=fields.boolean("seeder"),
    )


def _peer(fields: Fields) -> PeerAddress:
    try:
        host = canonical_ip(fields.text("host"))
    except ValueError as error:
        raise fields.wrong("host", "expected an IP address") from error
    return PeerAddress(
        node_id=_node_id(fields, "node_id", fields.text("node_id")),
        host=host,
        port=fields.integer("port", 1, 65535),
    )


def _gauged(fields: Fields) -> Gauged:
    return Gauged(
        node_id=_node_id(fields, "node_id", fields.text("node_id")),
        rate=fields.integer("rate", 0, _MAX_RATE),
    )


def _holding(fields: Fields) -> Holding:
    size = fields.integer("size", 0, MAX_SIZE)
    have = fields.binary("have")
    if have is not None and not fits(have, len(layout_of(size).segments)):
        raise fields.wrong("have", f"not a bitmap over the segments of {size} bytes")
    hashes = fields.binary("info_hashes") or b""
    if len(hashes) % 20:
        raise fields.wrong("info_hashes", "not a multiple of 20 bytes")
    return Holding(
        digest=_digest(fields, "digest", fields.text("digest")),
        size=size,
        have=have,
        info_hashes=tuple(InfoHash(hashes[at : at + 20]) for at in range(0, len(hashes), 20)),
        fetching=fields.boolean("fetching"),
        port=fields.integer("port", 0, 65535, default=0),
    )


def _holding_json(holding: Holding) -> dict[str, object]:
    return {
        "digest": holding.digest,
        "size": holding.size,
        "have": _bitmap_json(holding.have),
        "info_hashes": base64_text(b"".join(holding.info_hashes)),
        "fetching": holding.fetching,
        "port": holding.port,
    }


def _bitmap_json(have: bytes | None) -> str | None:
    return None if have is None else base64_text(have)


def _digest(fields: Fields, name: str, text: str) -> Digest:
    try:
        return parse_digest(text)
    except BadDigest as error:
        raise fields.wrong(name, str(error)) from error


def _node_id(fields: Fields, name: str, text: str) -> NodeId:
    if not _NODE_ID.match(text):
        raise fields.wrong(name, "expected node ids of 32 lower-case hex digits")
    return NodeId(text)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
