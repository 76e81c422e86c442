"""Headers that go on, and those that do not."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict
from yarl import URL

from eagle_node.registry.headers import end_to_end, shown, through_mirror, to_forward


def test_hop_by_hop_headers_stay_behind() -> None:
    """Those of RFC 9110 7.6.1, and those that Connection names."""
    headers = CIMultiDict(
        {
            "Connection": "close, X-Hop",
            "X-Hop": "1",
            "Transfer-Encoding": "chunked",
            "Proxy-Authorization": "Basic x",
            "Content-Type": "text/plain",
        }
    )
    headers.add("Set-Cookie", "a")
    headers.add("Set-Cookie", "b")
    assert list(end_to_end(headers).items()) == [
        ("Content-Type", "text/plain"),
        ("Set-Cookie", "a"),
        ("Set-Cookie", "b"),
    ]


def test_a_forwarded_request_names_the_server_it_goes_to() -> None:
    """The client's Host meant this node, and its Expect has been met."""
    assert dict(to_forward({"Host": "127.0.0.1:43002", "Expect": "100-continue", "A": "b"})) == {
        "A": "b"
    }


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/v2/a/blobs/uploads/1?_state=x%3D", "/v2/a/blobs/uploads/1?_state=x%3D&ns=r.test"),
        ("https://up.test/v2/a/blobs/uploads/1", "/v2/a/blobs/uploads/1?ns=r.test"),
        ("http://up.test/v2/a?ns=x&n=1", "/v2/a?n=1&ns=r.test"),
        ("https://s3.test/v2/a?sig=1", "https://s3.test/v2/a?sig=1"),
        ("https://up.test.evil/v2/a", "https://up.test.evil/v2/a"),
        ("https://up.test/login", "https://up.test/login"),
    ],
)
def test_locations_at_the_registry_lead_through_the_mirror(location: str, expected: str) -> None:
    """A client resolves them against this node, which finds the registry by ``ns`` again."""
    turned = through_mirror({"Location": location}, base=URL("https://up.test"), registry="r.test")
    assert turned["Location"] == expected


def test_pages_of_a_list_are_linked_through_the_mirror() -> None:
    """Link (RFC 8288) keeps its relation."""
    link = '</v2/a/tags/list?last=x&n=2>; rel="next"'
    turned = through_mirror({"Link": link}, base=URL("https://up.test"), registry="r.test")
    assert turned["Link"] == '</v2/a/tags/list?last=x&n=2&ns=r.test>; rel="next"'


def test_a_registry_below_a_path_is_seen_at_the_root() -> None:
    """The prefix of the configured URL is not the client's business."""
    base = URL("https://up.test/cache")
    turned = through_mirror({"Location": "/cache/v2/a"}, base=base, registry="r.test")
    assert turned["Location"] == "/v2/a?ns=r.test"


def test_urls_are_shown_without_secrets() -> None:
    """Neither query nor user."""
    assert shown(URL("https://u:p@s3.test:9000/b?sig=1")) == "https://s3.test:9000/b"
