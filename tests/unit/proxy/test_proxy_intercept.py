"""What a CONNECT is, and what becomes of it."""

from __future__ import annotations

import pytest
from yarl import URL

from eagle_node.config.hosts import TunnelPolicy, parse_pattern
from eagle_node.config.tree import ProxyConfig, RegistryConfig
from eagle_node.proxy.intercept import Intercepts, Way, parse_head
from eagle_node.registry.names import BadName
from eagle_node.runtime.sockets import Address

HTTPS = RegistryConfig(name="one.test", url="https://10.0.0.5:5000/harbor/")
PLAIN = RegistryConfig(name="two.test:8443", url="http://127.0.0.1:5000")
ANYWHERE = Address("0.0.0.0", 43002)


def intercepts(*patterns: str, **fields: object) -> Intercepts:
    """The policy of a node with the two registries."""
    config = ProxyConfig(
        registries=(HTTPS, PLAIN),
        intercept=tuple(map(parse_pattern, patterns)),
        **fields,  # type: ignore[arg-type]
    )
    return Intercepts(config)


@pytest.mark.parametrize(
    ("head", "target"),
    [
        (b"CONNECT ghcr.io:443 HTTP/1.1\r\nHost: ghcr.io:443\r\n\r\n", ("ghcr.io", 443)),
        (b"CONNECT GHCR.io.:5000 HTTP/1.0\r\n\r\n", ("ghcr.io", 5000)),
        (b"CONNECT [2001:DB8:0::7]:443 HTTP/1.1\r\nX-Y:\r\n\r\n", ("2001:db8::7", 443)),
        (b"CONNECT 10.0.0.5:65535 HTTP/1.1\r\na: b\r\nc: \xe9\r\n\r\n", ("10.0.0.5", 65535)),
    ],
)
def test_a_target_is_host_and_port(head: bytes, target: tuple[str, int]) -> None:
    """Names in lower case without the root's dot, addresses in their usual form."""
    assert parse_head(head) == Address(*target)


@pytest.mark.parametrize(
    "head",
    [
        b"CONNECT ghcr.io HTTP/1.1\r\n\r\n",
        b"CONNECT ghcr.io: HTTP/1.1\r\n\r\n",
        b"CONNECT :443 HTTP/1.1\r\n\r\n",
        b"CONNECT ghcr.io:0 HTTP/1.1\r\n\r\n",
        b"CONNECT ghcr.io:65536 HTTP/1.1\r\n\r\n",
        b"CONNECT https://ghcr.io:443 HTTP/1.1\r\n\r\n",
        b"CONNECT user@ghcr.io:443 HTTP/1.1\r\n\r\n",
        b"CONNECT ghcr..io:443 HTTP/1.1\r\n\r\n",
        b"CONNECT 1.2.3:443 HTTP/1.1\r\n\r\n",
        b"CONNECT [::1:443 HTTP/1.1\r\n\r\n",
        b"CONNECT ::1:443 HTTP/1.1\r\n\r\n",
        b"CONNECT gh\x00cr:443 HTTP/1.1\r\n\r\n",
        b"CONNECT ghcr.io:443 HTTP/2\r\n\r\n",
        b"CONNECT  ghcr.io:443 HTTP/1.1\r\n\r\n",
        b"CONNECT ghcr.io:443 HTTP/1.1\r\nno colon\r\n\r\n",
        b"CONNECT ghcr.io:443 HTTP/1.1\r\n folded: x\r\n\r\n",
        b"CONNECT ghcr.io:443 HTTP/1.1\nHost: x\n\n",
        b"CONNECT " + b"a" * 400 + b":443 HTTP/1.1\r\n\r\n",
        b"CONNECT " + b"y" * 20000,
    ],
)
def test_what_is_no_target_is_refused(head: bytes) -> None:
    """With a 400."""
    with pytest.raises(BadName) as caught:
        parse_head(head)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("pattern", "target", "matches"),
    [
        ("ghcr.io", ("ghcr.io", 443), True),
        ("GHCR.IO:443", ("ghcr.io", 443), True),
        ("ghcr.io", ("ghcr.io", 5000), False),
        ("ghcr.io", ("x.ghcr.io", 443), False),
        ("*.example.com", ("a.example.com", 443), True),
        ("*.example.com", ("a.b.example.com", 443), True),
        ("*.example.com", ("example.com", 443), False),
        ("*.example.com", ("badexample.com", 443), False),
        ("*.example.com:5000", ("a.example.com", 5000), True),
        ("[2001:db8:0::7]:5000", ("2001:db8::7", 5000), True),
        ("10.0.0.5:5000", ("10.0.0.5", 5000), True),
        ("localhost:5000", ("localhost", 5000), True),
    ],
)
def test_a_pattern_is_a_host_at_a_port(
    pattern: str, target: tuple[str, int], matches: bool
) -> None:
    """Without a port, HTTPS's; a wildcard is every name below the domain, and not itself."""
    assert parse_pattern(pattern).matches(Address(*target)) is matches
    assert parse_pattern(str(parse_pattern(pattern))) == parse_pattern(pattern)


@pytest.mark.parametrize(
    "text", ["", "*", "*.com", "*.10.0.0.5", "a.*.b", "https://a.test", "a.test/x", "a:0", "a b"]
)
def test_a_pattern_names_a_host(text: str) -> None:
    """All the internet is none, nor is all of a top-level domain."""
    with pytest.raises(ValueError, match="is no host to open"):
        parse_pattern(text)


def test_the_configured_registries_are_opened_by_default() -> None:
    """By their names, and where they are reached by HTTPS; nothing else."""
    policy = intercepts()
    assert list(map(str, policy.patterns)) == ["one.test", "10.0.0.5:5000", "two.test:8443"]
    assert policy.way(Address("one.test", 443)) is Way.OPEN
    assert policy.way(Address("ghcr.io", 443)) is Way.TUNNEL


def test_a_list_takes_the_place_of_the_default() -> None:
    """What is not on it is tunnelled, configured or not."""
    policy = intercepts("ghcr.io")
    assert policy.way(Address("ghcr.io", 443)) is Way.OPEN
    assert policy.way(Address("one.test", 443)) is Way.TUNNEL


@pytest.mark.parametrize(
    ("listen", "tunnel", "way"),
    [
        (Address("127.0.0.1", 43002), TunnelPolicy.AUTO, Way.TUNNEL),
        (Address("::1", 43002), TunnelPolicy.AUTO, Way.TUNNEL),
        (ANYWHERE, TunnelPolicy.AUTO, Way.REFUSE),
        (ANYWHERE, TunnelPolicy.ANY, Way.TUNNEL),
        (Address("127.0.0.1", 43002), TunnelPolicy.INTERCEPTED, Way.REFUSE),
        (Address("127.0.0.1", 43002), TunnelPolicy.NONE, Way.REFUSE),
    ],
)
def test_a_proxy_that_others_reach_is_no_open_relay(
    listen: Address, tunnel: TunnelPolicy, way: Way
) -> None:
    """Unless it is told to be one; hosts of the list are reached in any case."""
    policy = intercepts(listen=listen, tunnel=tunnel)
    assert policy.way(Address("ghcr.io", 443)) is way
    assert policy.way(Address("one.test", 443)) is Way.OPEN
    assert policy.may_tunnel_listed is (tunnel is not TunnelPolicy.NONE)


@pytest.mark.parametrize(
    ("target", "registry", "base"),
    [
        (("one.test", 443), "one.test", HTTPS.url),
        (("10.0.0.5", 5000), "one.test", "https://10.0.0.5:5000"),
        (("two.test", 8443), "two.test:8443", PLAIN.url),
        (("two.test", 443), "two.test", "https://two.test"),
        (("registry-1.docker.io", 443), "docker.io", "https://registry-1.docker.io"),
        (("2001:db8::7", 5000), "[2001:db8::7]:5000", "https://[2001:db8::7]:5000"),
        (("under_score.test", 443), None, "https://under_score.test"),
    ],
)
def test_an_opened_host_is_a_registry(
    target: tuple[str, int], registry: str | None, base: str
) -> None:
    """By its name or its address; it is reached where ``--registry`` says."""
    opened = intercepts().opened(Address(*target))
    assert (opened.registry, opened.base) == (registry, URL(base))


def test_only_configured_registries_are_asked_for_blobs() -> None:
    """An opened host that is none is passed on."""
    opened = intercepts("ghcr.io", only_configured=True).opened(Address("ghcr.io", 443))
    assert (opened.registry, opened.base) == (None, URL("https://ghcr.io"))


@pytest.mark.parametrize(
    ("named", "agrees"),
    [
        ("one.test", True),
        ("ONE.test:443", True),
        ("one.test.", True),
        ("one.test:80", False),
        ("two.test", False),
        ("", False),
        ("one.test:443:1", False),
    ],
)
def test_requests_must_be_for_the_host_that_was_opened(named: str, agrees: bool) -> None:
    """By their Host field, in which HTTPS's port may be left out."""
    assert intercepts().opened(Address("one.test", 443)).is_host(named) is agrees
