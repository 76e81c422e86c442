"""What is rendered is parsed back, for all values."""

from __future__ import annotations

from typing import Any

import libtorrent as lt
from hypothesis import given
from hypothesis import strategies as st

from eagle_node.base.digest import Digest
from eagle_node.base.ids import InfoHash, NodeId
from eagle_node.blobs.segments import layout_of
from eagle_node.tracker import bitmap
from eagle_node.tracker.bencode import bencode
from eagle_node.tracker.fields import Malformed
from eagle_node.tracker.schema import (
    MAX_GAUGED,
    Advert,
    AdvertReply,
    Gauged,
    Gone,
    Holder,
    Holding,
    NodeInfo,
    PeerAddress,
    Plan,
    PlanRequest,
    parse_advert,
    parse_advert_reply,
    parse_holders,
    parse_plan,
    parse_plan_request,
    render_advert,
    render_advert_reply,
    render_holders,
    render_plan,
    render_plan_request,
)
from eagle_node.tracker.wire import parse_announce

HEX = "0123456789abcdef"
node_ids = st.text(HEX, min_size=32, max_size=32).map(NodeId)
digests = st.text(HEX, min_size=64, max_size=64).map(lambda text: Digest("sha256:" + text))
hosts = st.ip_addresses().map(
    lambda ip: str(ip.ipv4_mapped if ip.version == 6 and ip.ipv4_mapped else ip)
)
ports = st.integers(1, 65535)
labels = st.text(max_size=20)
sizes = st.integers(0, 1 << 34)
peers = st.builds(PeerAddress, node_id=node_ids, host=hosts, port=ports)
nodes = st.builds(
    NodeInfo,
    node_id=node_ids,
    host=hosts,
    port=ports,
    zone=labels,
    rack=labels,
    group=labels,
    upload_rate=st.integers(0, 1 << 40),
    seeder=st.booleans(),
)


@st.composite
def holdings(draw: st.DrawFn) -> Holding:
    """Whole or partial blobs."""
    size = draw(sizes)
    count = len(layout_of(size).segments)
    numbers = st.sets(st.integers(0, count - 1), max_size=20) if count else st.just(set())
    have = draw(st.none() | numbers.map(lambda some: bitmap.pack(some, count)))
    hashes = st.binary(min_size=20, max_size=20).map(InfoHash)
    return Holding(
        digest=draw(digests),
        size=size,
        have=have,
        info_hashes=tuple(draw(st.lists(hashes, max_size=5))),
        fetching=draw(st.booleans()),
    )


@given(
    st.builds(
        PlanRequest,
        node=nodes,
        digest=digests,
        size=sizes,
        failed=st.lists(node_ids, max_size=5).map(tuple),
        gone=st.lists(st.builds(Gone, node_id=node_ids, ago_s=st.floats(0, 1e6)), max_size=5).map(
            tuple
        ),
        partial=st.booleans(),
        after=labels,
    )
)
def test_plan_requests_round_trip(request: PlanRequest) -> None:
    """A plan request is what its JSON says."""
    assert parse_plan_request(render_plan_request(request)) == request


@given(
    st.builds(
        Plan,
        stripes=st.lists(st.lists(peers, max_size=8).map(tuple), max_size=4).map(tuple),
        interval_s=st.floats(0.001, 1e6),
        revision=labels,
    )
)
def test_plans_round_trip(plan: Plan) -> None:
    """A plan is what its JSON says."""
    assert parse_plan(render_plan(plan)) == plan


@given(
    st.builds(
        Advert,
        node=nodes,
        full=st.booleans(),
        held=st.lists(holdings(), max_size=3).map(tuple),
        dropped=st.lists(digests, max_size=3).map(tuple),
        gauged=st.lists(
            st.builds(Gauged, node_id=node_ids, rate=st.integers(0, 1 << 40)), max_size=MAX_GAUGED
        ).map(tuple),
    )
)
def test_adverts_round_trip(advert: Advert) -> None:
    """An advert is what its JSON says."""
    assert parse_advert(render_advert(advert)) == advert


@given(
    st.builds(
        AdvertReply,
        want_full=st.booleans(),
        errands=st.booleans(),
        gauges=st.lists(peers, max_size=4).map(tuple),
    )
)
def test_replies_to_adverts_round_trip(reply: AdvertReply) -> None:
    """A reply to an advert is what its JSON says."""
    assert parse_advert_reply(render_advert_reply(reply)) == reply


@given(st.lists(st.builds(Holder, peer=peers, have=st.none() | st.binary(max_size=9)), max_size=4))
def test_holders_round_trip(holders: list[Holder]) -> None:
    """The list of holders is what its JSON says."""
    assert parse_holders(render_holders(holders)) == tuple(holders)


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))))
def test_bitmaps_round_trip(drawn: tuple[int, set[int]]) -> None:
    """A bitmap holds the numbers that were put in, fits its count, and no shorter one."""
    count, numbers = drawn
    bits = bitmap.pack(numbers, count)
    assert set(bitmap.unpack(bits)) == numbers
    assert bitmap.fits(bits, count)
    assert not bitmap.fits(bits + b"\0", count)
    assert all(bitmap.contains(bits, n) == (n in numbers) for n in range(count + 20))


values = st.recursive(
    st.integers(1 - (1 << 63), (1 << 63) - 1) | st.binary(max_size=30),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.binary(max_size=9), inner),
    max_leaves=20,
)


@given(values)
def test_libtorrent_reads_what_is_encoded(value: Any) -> None:
    """The encoder is understood by a client's decoder, and agrees with its encoder."""
    assert lt.bdecode(bencode(value)) == value
    assert bencode(value) == lt.bencode(value)


@given(
    st.text(st.characters(max_codepoint=255)) | st.text("info_hash=&%0123456789port", max_size=80)
)
def test_no_query_breaks_the_parser(query: str) -> None:
    """Whatever is sent is an announce or malformed."""
    try:
        announce = parse_announce(query, "192.0.2.1")
    except Malformed:
        return
    assert len(announce.info_hash) == 20
