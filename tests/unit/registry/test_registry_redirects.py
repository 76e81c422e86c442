"""Where redirects may lead."""

from __future__ import annotations

import pytest
from yarl import URL

from eagle_node.base.errors import Unavailable
from eagle_node.registry.redirects import MAX_REDIRECTS, next_url, same_origin

REGISTRY = URL("https://registry.test/v2/a/blobs/x")


def test_a_signed_query_is_kept_byte_by_byte() -> None:
    """Storage services sign the query as it is written."""
    location = "https://s3.test/b?X-Sig=a%2Fb%3D&e=%7e&t=2024+01"
    assert str(next_url([REGISTRY], location)) == location


def test_a_relative_target_stays_at_its_server() -> None:
    """RFC 9110 10.2.2: resolved against the request's URL."""
    assert str(next_url([REGISTRY], "/blobs/y?z#fragment")) == "https://registry.test/blobs/y?z"


@pytest.mark.parametrize(
    "location",
    [
        "http://registry.test/v2/a",
        "ftp://s3.test/b",
        "file:///etc/passwd",
        "https://127.0.0.1/b",
        "https://[::1]/b",
        "https://[::ffff:127.0.0.1]/b",
        "https://localhost:9000/b",
        "https://169.254.169.254/latest/meta-data",
        "https://host:99999/",
        "https://a b/",
        "\x00",
    ],
)
def test_downgrades_and_leaps_to_local_addresses_are_refused(location: str) -> None:
    """A registry cannot make this node leave TLS, or ask what only this machine may ask."""
    with pytest.raises(Unavailable):
        next_url([REGISTRY], location)


def test_a_local_registry_may_redirect_to_a_local_storage() -> None:
    """What is on this machine already may stay there."""
    assert next_url([URL("http://127.0.0.1:5000/a")], "http://127.0.0.1:9000/b").port == 9000


def test_user_information_of_a_target_is_dropped() -> None:
    """It would become credentials that nobody meant to send."""
    assert str(next_url([REGISTRY], "https://u:p@s3.test/b")) == "https://s3.test/b"


def test_a_loop_is_named_without_its_queries() -> None:
    """Signatures do not get into messages."""
    trail = [REGISTRY, URL("https://s3.test/b?sig=secret")]
    with pytest.raises(Unavailable, match=r"redirect loop: .*/x -> .*/b -> .*/x") as caught:
        next_url(trail, str(REGISTRY))
    assert "secret" not in str(caught.value)


def test_a_long_chain_ends() -> None:
    """More than five hops is nobody's storage."""
    trail = [URL(f"https://r.test/{hop}") for hop in range(MAX_REDIRECTS + 1)]
    assert next_url(trail[:-1], "/next").path == "/next"
    with pytest.raises(Unavailable, match="more than 5 redirects"):
        next_url(trail, "/next")


def test_an_origin_is_scheme_host_and_port() -> None:
    """Default ports are spelled out or not; everything else makes a stranger."""
    assert same_origin(URL("https://a.test/x"), URL("https://a.test:443/y"))
    for other in ("http://a.test:443", "https://a.test:444", "https://b.test"):
        assert not same_origin(URL("https://a.test"), URL(other))
