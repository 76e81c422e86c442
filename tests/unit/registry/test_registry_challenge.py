"""Challenges as registries send them."""

from __future__ import annotations

import pytest

from eagle_node.registry.challenge import BasicChallenge, BearerChallenge, parse_challenges

HUB = BearerChallenge(
    realm="https://auth.docker.io/token",
    service="registry.docker.io",
    scope="repository:library/nginx:pull",
)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",'
            'scope="repository:library/nginx:pull"',
            (HUB,),
        ),
        (
            'bearer REALM = "https://auth.docker.io/token" , Service="registry.docker.io", '
            'scope="repository:library/nginx:pull", error="invalid_token"',
            (HUB,),
        ),
        ('Basic realm="Registry Realm"', (BasicChallenge(realm="Registry Realm"),)),
        ("Basic", (BasicChallenge(),)),
        (
            'Negotiate, Bearer realm="https://a.test/t", Basic realm=plain',
            (BearerChallenge(realm="https://a.test/t"), BasicChallenge(realm="plain")),
        ),
        (
            'NTLM TlRMTVNTUAACAAAA==, Basic realm="a, Bearer b"',
            (BasicChallenge(realm="a, Bearer b"),),
        ),
        (
            "Bearer realm=https://a.test/token?x=y",
            (BearerChallenge(realm="https://a.test/token?x=y"),),
        ),
        (r'Basic realm="say \"hi\" \\ there"', (BasicChallenge(realm=r'say "hi" \ there'),)),
        ('Bearer service="nowhere"', ()),
        (", ,", ()),
        ('Basic realm="open', (BasicChallenge(),)),
    ],
)
def test_headers_are_read_as_rfc_9110_means_them(
    header: str, expected: tuple[BearerChallenge | BasicChallenge, ...]
) -> None:
    """Case, white space, quoting, unknown schemes and several challenges in one value."""
    assert parse_challenges(header) == expected


def test_a_challenge_cannot_smuggle_a_header() -> None:
    """Control characters are refused when a challenge is made."""
    with pytest.raises(ValueError, match="control"):
        BasicChallenge(realm="a\r\nSet-Cookie: b")


def test_a_rendered_challenge_leaves_out_what_is_empty() -> None:
    """A service without scope gets none."""
    assert BearerChallenge(realm="https://a.test").render() == 'Bearer realm="https://a.test"'
