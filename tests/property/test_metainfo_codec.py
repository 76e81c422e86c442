"""Every message survives the wire; no bytes do more than raise the error they should."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_node.base.digest import Digest
from eagle_node.base.errors import (
    BadDigest,
    Denied,
    EagleError,
    NoSpace,
    Silent,
    Unavailable,
    WrongContent,
)
from eagle_node.base.ids import InfoHash, NodeId
from eagle_node.metainfo import file_messages as f
from eagle_node.metainfo import messages as m
from eagle_node.metainfo.errors import RpcStatus, decode_error, encode_error
from eagle_node.metainfo.hash_messages import (
    HASH,
    HashesReply,
    decode_hashes_reply,
    encode_hashes_reply,
)

_u32 = st.integers(0, 2**32 - 1)
_u64 = st.integers(0, 2**64 - 1)
_digests = st.binary(min_size=32, max_size=32).map(lambda raw: Digest("sha256:" + raw.hex()))

_requests = st.builds(
    m.FetchRequest,
    registry=st.text(),
    repository=st.text(),
    digest=_digests,
    authorization=st.text(),
    node_id=st.text().map(NodeId),
    layout_version=_u32,
    request_id=st.text(),
    first=st.lists(_u32).map(tuple),
    path=st.text(),
    only_first=st.booleans(),
)
_notices = st.builds(
    m.PrefetchRequest,
    registry=st.text(),
    repository=st.text(),
    blobs=st.lists(st.builds(m.PrefetchBlob, digest=_digests, size=_u64)).map(tuple),
    authorization=st.text(),
    node_id=st.text().map(NodeId),
    request_id=st.text(),
)
_replies: st.SearchStrategy[m.FetchReply] = st.one_of(
    st.builds(m.LayoutEvent, size=_u64, version=_u32, swarm_port=_u32, age_ms=_u64),
    st.builds(m.SegmentEvent, index=_u32, root=st.binary()),
    st.builds(m.InlineEvent, data=st.binary(), age_ms=_u64),
    st.builds(m.BeatEvent, received=_u64),
)
_looks = st.builds(
    f.LookRequest,
    registry=st.text(),
    path=st.text(),
    authorization=st.text(),
    node_id=st.text().map(NodeId),
    request_id=st.text(),
)
_found: st.SearchStrategy[f.LookReply] = st.one_of(
    st.builds(m.BeatEvent, received=_u64),
    st.builds(f.FoundEvent, digest=_digests, size=_u64),
)
_fields = st.none() | st.text(min_size=1, max_size=200)
_errors: st.SearchStrategy[EagleError] = st.one_of(
    st.builds(
        Denied,
        st.text(max_size=200),
        status=st.integers(400, 599),
        code=st.text(),
        challenge=_fields,
        retry_after=_fields,
    ),
    *(st.builds(kind, st.text(max_size=200)) for kind in (BadDigest, NoSpace, Silent, Unavailable)),
    st.builds(WrongContent, st.text(max_size=200)),
)


@given(_looks)
def test_looks_survive_the_wire(request: f.LookRequest) -> None:
    """A seeder reads exactly what it is asked to look at."""
    assert f.decode_look_request(f.encode_look_request(request)) == request


@given(_found)
def test_what_was_found_survives_the_wire(reply: f.LookReply) -> None:
    """Signs of life too."""
    assert f.decode_look_reply(f.encode_look_reply(reply)) == reply


@given(_requests)
def test_requests_survive_the_wire(request: m.FetchRequest) -> None:
    """A seeder reads exactly the request that a peer sent."""
    assert m.decode_fetch_request(m.encode_fetch_request(request)) == request


@given(_notices)
def test_notices_survive_the_wire(request: m.PrefetchRequest) -> None:
    """A seeder reads exactly which blobs may be wanted soon, in their order."""
    assert m.decode_prefetch_request(m.encode_prefetch_request(request)) == request


@given(
    st.builds(
        m.ReadRequest,
        registry=st.text(),
        repository=st.text(),
        digest=_digests,
        authorization=st.text(),
        node_id=st.text().map(NodeId),
        request_id=st.text(),
        path=st.text(),
        start=st.integers(0, 2**64 - 1),
        stop=st.integers(0, 2**64 - 1),
    ),
    st.binary(),
)
def test_reads_survive_the_wire(request: m.ReadRequest, data: bytes) -> None:
    """A seeder reads exactly the request that a peer sent, the peer exactly the bytes."""
    assert m.decode_read_request(m.encode_read_request(request)) == request
    assert m.decode_read_reply(m.encode_read_reply(data)) == data


@given(
    st.lists(st.binary(min_size=HASH, max_size=HASH), max_size=5).map(tuple),
    st.binary(min_size=20, max_size=20).map(InfoHash),
    st.text().map(NodeId),
)
def test_hashes_survive_the_wire(
    hashes: tuple[bytes, ...], info_hash: InfoHash, node_id: NodeId
) -> None:
    """A peer compares blocks with exactly what the seeder said."""
    reply = HashesReply(hashes=hashes, info_hash=info_hash, node_id=node_id)
    assert decode_hashes_reply(encode_hashes_reply(reply)) == reply


@given(_replies)
def test_replies_survive_the_wire(reply: m.FetchReply) -> None:
    """A peer reads exactly the reply that a seeder sent, values of zero included."""
    assert m.decode_fetch_reply(m.encode_fetch_reply(reply)) == reply


@given(st.text(), st.binary())
def test_the_unary_call_survives_the_wire(url: str, metainfo: bytes) -> None:
    """URL and metainfo of the unary call arrive as they were sent."""
    assert m.decode_metainfo_request(m.encode_metainfo_request(url)) == url
    assert m.decode_metainfo_reply(m.encode_metainfo_reply(metainfo)) == metainfo


@given(st.binary(max_size=200))
def test_malformed_bytes_are_value_errors(data: bytes) -> None:
    """Whatever arrives is a message, a ValueError or a BadDigest."""
    for decode in (
        m.decode_metainfo_request,
        m.decode_metainfo_reply,
        m.decode_fetch_reply,
        m.decode_read_reply,
    ):
        try:
            decode(data)
        except ValueError:
            pass
    for decode_named in (
        m.decode_fetch_request,
        m.decode_prefetch_request,
        m.decode_read_request,
        decode_hashes_reply,
    ):
        try:
            decode_named(data)
        except (ValueError, BadDigest):
            pass


@given(_errors)
def test_errors_survive_the_wire(error: EagleError) -> None:
    """A peer raises the error that the seeder raised: same class, same text, same fields."""
    arrived = decode_error(encode_error(error))
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert vars(arrived) == vars(error)


@given(st.sampled_from(["UNKNOWN", "NOT_FOUND", "CANCELLED"]), st.text(), st.binary(max_size=100))
def test_a_damaged_trailer_is_no_more_than_a_missing_one(
    status: str, message: str, trailer: bytes
) -> None:
    """Arbitrary trailers decode to an error of the family."""
    failed = RpcStatus(status=status, message=message, trailer=trailer)
    assert isinstance(decode_error(failed), EagleError)


@pytest.mark.parametrize("index", [-1, 2**32])
def test_a_value_out_of_range_is_refused_before_it_is_sent(index: int) -> None:
    """An index that the field cannot hold is a ValueError on the sender's side."""
    with pytest.raises(ValueError, match="out of range"):
        m.encode_fetch_reply(m.SegmentEvent(index=index, root=b""))
